package proxy

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// scrape is what GET /metrics gets.
func (p *process) scrape() string {
	w := httptest.NewRecorder()
	p.metrics.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
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

// The status is asked all the time while generations come, each of which is kept
// by a stream.
func TestEveryGenerationThatServesIsInTheStatus(t *testing.T) {
	up := api(t)
	yaml := func(n int) string {
		return unwatched + fmt.Sprintf(`
listeners: [{name: public, address: "127.0.0.1:0"}]
routes:
  - {match: {path: /word}, respond: {body: "%d"}}
  - {match: {path_prefix: /}, cluster: api, timeout: 0s}
clusters: [{name: api, endpoints: ["%s"]}]
`, n, up.URL)
	}
	p := run(t, "", yaml(0))
	var streams atomic.Uint64 // each generation up to this one has one
	stop, asked := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(asked)
		for !isClosed(stop) {
			last := streams.Load()
			s := p.Status()
			seen := map[uint64]bool{s.Generation.Number: true}
			for _, d := range s.Draining {
				seen[d.Generation] = true
			}
			for n := uint64(1); n <= last; n++ {
				if !seen[n] {
					t.Errorf("generation %d serves a stream and is not in the status of generation %d", n, s.Generation.Number)
					return
				}
			}
		}
	}()
	for n := range 30 {
		stream(t, "http://"+p.address("public"))
		streams.Add(1)
		p.mustApply(yaml(n + 1))
	}
	close(stop)
	<-asked
}
