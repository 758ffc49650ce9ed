package stdio_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
)

// floodingServer writes 5000 lines to stderr at each start, and ends.
const floodingServer = `i=0
while [ $i -lt 5000 ]; do echo "line $i" >&2; i=$((i+1)); done
`

func TestAProcessThatFloodsStderrDoesNotFillTheLog(t *testing.T) {
	t.Parallel()
	dir := harness.ShortDir(t)
	harness.WriteFile(t, dir, "server.sh", []byte(floodingServer))
	g := harness.Start(t, dir, `
reload: {watch: false, warm_timeout: 0s}
listeners: [{name: plain, address: "127.0.0.1:0"}]
routes: [{match: {path: /mcp}, mcp: {clusters: [noisy]}}]
clusters:
  - {name: noisy, command: [sh, server.sh]}
`)
	g.Eventually("the lines left out to be counted", func() error {
		metrics, err := g.Metrics()
		if err != nil {
			return err
		}
		for line := range strings.Lines(metrics) {
			n := 0
			if _, err := fmt.Sscanf(line, `mcpgateway_cluster_stderr_lines_omitted_total{cluster="noisy"} %d`, &n); err == nil && n > 0 {
				if n%4800 != 0 {
					return testkit.Fatal(fmt.Errorf("%d lines are left out", n))
				}
				return nil
			}
		}
		return errors.New("not yet")
	})
	g.Eventually("the log to say so", func() error {
		if !strings.Contains(g.Logs.String(), `"lines":4800`) {
			return errors.New("not yet")
		}
		return nil
	})
	log := g.Logs.String()
	if !strings.Contains(log, `"line 199"`) || strings.Contains(log, `"line 200"`) {
		t.Error("the log has other lines than the first 200 of each start")
	}
}
