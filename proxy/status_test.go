package proxy

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
)

// scrape is what GET /metrics gets.
func (p *process) scrape() string {
	w := httptest.NewRecorder()
	p.metricsServed.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

func TestAnEndpointThatIsNotCheckedCountsAsHealthyWhileItServes(t *testing.T) {
	up := api(t)
	p := run(t, "", unwatched+fmt.Sprintf(`
listeners: [{name: public, address: "127.0.0.1:0"}]
routes: [{match: {path_prefix: /}, cluster: api}]
clusters:
  - {name: api, endpoints: ["%s"]}
  - {name: dead, endpoints: ["http://%s"], health_check: {kind: tcp, interval: 1h, unhealthy_threshold: 1}}
`, up.URL, deadPort(t)))
	expectBody(t, "http://"+p.address("public"), "api")
	for cluster, want := range map[string]string{"api": "1", "dead": "0"} {
		if !strings.Contains(healthLine(p.scrape(), cluster)+"\n", "} "+want+"\n") {
			t.Errorf("%s: %q, want %s", cluster, healthLine(p.scrape(), cluster), want)
		}
	}
}

func healthLine(metrics, cluster string) string {
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(line, "mcpgateway_cluster_endpoint_healthy{") && strings.Contains(line, `cluster="`+cluster+`"`) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
