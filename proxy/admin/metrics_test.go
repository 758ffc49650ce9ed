package admin

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var described = regexp.MustCompile(`^Desc\{fqName: "(mcpgateway_[a-z0-9_]+)", help: "(.*?)"(?:, unit: "")?, constLabels: \{\}, variableLabels: \{([a-z,]*)\}\}$`)

// The page has a line for each metric of the gateway, and no other.
func TestEveryMetricIsDocumented(t *testing.T) {
	full := &source{status: Status{
		Memory:    Memory{Charged: map[string]int64{"body": 1}},
		Listeners: []Listener{{Name: "public"}},
		Clusters:  []Cluster{{Name: "api", Endpoints: []Endpoint{{MaxProcesses: 1}}, LeftOut: []LeftOut{{Kind: "tool"}}}},
		Certs:     []Certificate{{NotAfter: time.Now()}},
	}}
	descs := make(chan *prometheus.Desc)
	go func() {
		defer close(descs)
		NewMetrics("1").registry.Describe(descs)
		metrics := make(chan prometheus.Metric)
		go func() {
			defer close(metrics)
			(&statusCollector{source: full}).Collect(metrics)
		}()
		for m := range metrics {
			descs <- m.Desc()
		}
	}()
	var lines []string
	for d := range descs {
		parts := described.FindStringSubmatch(d.String())
		if parts == nil {
			if !strings.Contains(d.String(), `fqName: "go_`) && !strings.Contains(d.String(), `fqName: "process_`) {
				t.Errorf("%s is not understood", d)
			}
			continue
		}
		kind := "gauge"
		switch {
		case strings.HasSuffix(parts[1], "_total"):
			kind = "counter"
		case strings.HasSuffix(parts[1], "_duration_seconds"):
			kind = "histogram"
		}
		lines = append(lines, fmt.Sprintf("| `%s` | %s | %s | %s |\n", parts[1], kind, strings.ReplaceAll(parts[3], ",", ", "), parts[2]))
	}
	slices.Sort(lines)
	page, err := os.ReadFile("../../docs/METRICS.md")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "| `") {
			told = append(told, line)
		}
	}
	if len(lines) < 20 || !slices.Equal(told, lines) {
		t.Errorf("docs/METRICS.md differs; its table should be\n\n%s", strings.Join(lines, ""))
	}
}
