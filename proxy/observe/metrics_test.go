package observe

import (
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mcpgateway/mcpgateway/proxy/admin"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
)

var described = regexp.MustCompile(`^Desc\{fqName: "(mcpgateway_[a-z0-9_]+)", help: "(.*?)"(?:, unit: "")?, constLabels: \{\}, variableLabels: \{([a-z,]*)\}\}$`)

// source is a gateway in this state.
type source admin.Status

func (s source) Status() admin.Status { return admin.Status(s) }

func (s source) Reload(context.Context) (admin.Outcome, error) { return admin.Outcome{}, nil }

var update = flag.Bool("update", false, "write the table of metrics into docs/METRICS.md")

// The page has a row for each metric of the gateway, and no other; with -update this
// test writes them.
func TestEveryMetricIsDocumented(t *testing.T) {
	full := source{
		Memory:    admin.Memory{Charged: map[string]int64{"body": 1}},
		Listeners: []admin.Listener{{Name: "public"}},
		Clusters:  []admin.Cluster{{Name: "api", Endpoints: []admin.Endpoint{{MaxProcesses: 1}}, LeftOut: []admin.LeftOut{{Kind: "tool"}}}},
		Certs:     []admin.Certificate{{NotAfter: time.Now()}},
	}
	m := New(io.Discard, "1").metrics
	m.registry.MustRegister(admin.Collector{Source: full})
	for _, s := range m.series { // a metric without a series is not gathered
		if _, err := s.GetMetricWithLabelValues(s.labels...); err != nil {
			t.Fatal(err)
		}
	}
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{}
	for _, f := range families {
		kinds[f.GetName()] = strings.ToLower(f.GetType().String())
	}
	descs := make(chan *prometheus.Desc)
	go func() {
		defer close(descs)
		m.registry.Describe(descs)
		metrics := make(chan prometheus.Metric)
		go func() {
			defer close(metrics)
			admin.Collector{Source: full}.Collect(metrics)
		}()
		for m := range metrics {
			descs <- m.Desc()
		}
	}()
	rows := map[string]bool{}
	for d := range descs {
		parts := described.FindStringSubmatch(d.String())
		switch {
		case parts != nil:
			rows[fmt.Sprintf("| `%s` | %s | %s | %s |\n", parts[1], kinds[parts[1]], strings.ReplaceAll(parts[3], ",", ", "), parts[2])] = true
		case !strings.Contains(d.String(), `fqName: "go_`) && !strings.Contains(d.String(), `fqName: "process_`):
			t.Errorf("%s is not understood", d)
		}
	}
	if len(rows) < 20 {
		t.Fatalf("only %d metrics are defined", len(rows))
	}
	const file = "../../docs/METRICS.md"
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, table, _ := strings.Cut(string(page), "| `")
	var after strings.Builder // the table
	told := map[string]bool{}
	for line := range strings.Lines("| `" + table) {
		if strings.HasPrefix(line, "| `") {
			told[line] = true
		} else {
			after.WriteString(line)
		}
	}
	wanted := before + strings.Join(slices.Sorted(maps.Keys(rows)), "") + after.String()
	if wanted == string(page) {
		return
	}
	if *update {
		if err := os.WriteFile(file, []byte(wanted), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Error("docs/METRICS.md is not what the metrics say; `go test ./proxy/observe -update` mends it")
	for _, row := range slices.Sorted(maps.Keys(rows)) {
		if !told[row] {
			t.Errorf("it lacks %s", row)
		}
	}
	for _, row := range slices.Sorted(maps.Keys(told)) {
		if !rows[row] {
			t.Errorf("it should not have %s", row)
		}
	}
}

func TestForgottenSeriesAreGoneAndOthersStay(t *testing.T) {
	for _, others := range []int{0, fewGone} { // that have no series
		t.Run(fmt.Sprint(others), func(t *testing.T) { forget(t, others) })
	}
}

func forget(t *testing.T, others int) {
	o := New(io.Discard, "test")
	o.Clusters.Request("a", "http://1", 200, time.Second, nil)
	o.Clusters.Request("a", "http://2", 200, time.Second, nil)
	o.Clusters.Request("b", "http://1", 200, time.Second, nil)
	o.Listeners.Opened("public")
	o.request("public", &filter.Entry{Route: "tools", Status: 200, Duration: time.Second})
	all := Gone{}
	all.Add("cluster", "b")
	all.Add("listener", "public")
	all.Add("route", "tools")
	all[labelValue{"endpoint", "http://1", "a"}] = true
	for i := range others {
		all.Add("route", fmt.Sprint(i))
	}
	o.Forget(all)
	families, err := o.metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, f := range families {
		for _, series := range f.GetMetric() {
			line := f.GetName()
			for _, l := range series.GetLabel() {
				line += " " + l.GetValue()
			}
			if strings.HasPrefix(line, "mcpgateway_") && len(series.GetLabel()) > 0 && !strings.HasPrefix(line, "mcpgateway_build_info") {
				left = append(left, line)
			}
		}
	}
	if want := "[mcpgateway_cluster_request_duration_seconds a mcpgateway_cluster_requests_total a 200 http://2]"; fmt.Sprint(left) != want {
		t.Errorf("left: %v\nwant: %s", left, want)
	}
}

// looked is a metric that counts how often it is read.
type looked struct {
	prometheus.Metric
	times *int
}

func (l looked) Write(m *dto.Metric) error {
	*l.times++
	return l.Metric.Write(m)
}

func TestEachSeriesIsReadOnceWhereManyRoutesGoAndNeverWhereOneGoes(t *testing.T) {
	const routes = 1000
	for goes, want := range map[int]int{1: 0, routes: routes} {
		o, times := New(io.Discard, "test"), 0
		d := prometheus.NewDesc("test_total", "", []string{"route"}, nil)
		vec := prometheus.NewMetricVec(d, func(values ...string) prometheus.Metric {
			return looked{prometheus.MustNewConstMetric(d, prometheus.CounterValue, 1, values...), &times}
		})
		o.metrics.series = append(o.metrics.series, series{vec, []string{"route"}})
		for i := range routes {
			if _, err := vec.GetMetricWithLabelValues(fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		all := Gone{}
		for i := range goes {
			all.Add("route", fmt.Sprint(i))
		}
		o.Forget(all)
		if times != want {
			t.Errorf("%d of %d routes go: series are read %d times", goes, routes, times)
		}
		if left := vec.DeletePartialMatch(nil); left != routes-goes {
			t.Errorf("%d of %d routes go: %d series are left", goes, routes, left)
		}
	}
}

func BenchmarkForget(b *testing.B) {
	const routes = 10_000
	for _, goes := range []int{1, fewGone, fewGone + 1, 1000, routes} {
		b.Run(fmt.Sprint(goes), func(b *testing.B) {
			all := Gone{}
			for i := range goes {
				all.Add("route", fmt.Sprint(i))
			}
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				o := New(io.Discard, "test")
				for i := range routes {
					o.request("public", &filter.Entry{Route: fmt.Sprint(i), Status: 200, Duration: time.Second})
				}
				b.StartTimer()
				o.Forget(all)
			}
		})
	}
}

func TestLabelsAreBoundedByTheConfiguration(t *testing.T) {
	for id, want := range map[string]string{
		"http://10.0.0.1:80":                "http://10.0.0.1:80",
		"https://api.example/mcp@10.0.0.1":  "https://api.example/mcp",
		"https://api.example/mcp@fd00::1":   "https://api.example/mcp",
		"https://10.0.0.1/@scope/server":    "https://10.0.0.1/@scope/server",
		"https://api.example/@me@127.0.0.1": "https://api.example/@me",
		"command":                           "command",
	} {
		if got := endpointLabel(id); got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
	for method, want := range map[string]string{"tools/call": "tools/call", "tools/call2": "other", "": "other", "a\xff": "other"} {
		if got := methodLabel(method); got != want {
			t.Errorf("%q: %s, want %s", method, got, want)
		}
	}
}
