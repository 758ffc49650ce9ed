package mcp

import (
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

func TestListDoesNotWaitForAMemberThatIsUnhealthy(t *testing.T) {
	a, b := newServer(t, "alpha"), newServer(t, "beta")
	checked := func(c *clusters.Config) {
		c.HealthCheck = &clusters.HealthCheck{Kind: "mcp", Interval: 20 * time.Millisecond, Timeout: time.Second, UnhealthyThreshold: 1, HealthyThreshold: 1}
	}
	alpha, beta := a.backend("alpha"), b.backend("beta")
	alpha.tune = checked
	g := newGatewayWith(t, clusters.Options{Probers: map[string]clusters.Prober{"mcp": &upstream.Prober{Client: new(upstream.Client)}}}, func(c *Config) {
		// A list that waits for the member would outlast the test.
		c.Timeouts.List, c.Timeouts.CallIdle, c.Timeouts.CallMax = time.Hour, time.Hour, time.Hour
	}, alpha, beta)
	id := g.initialize()
	cluster, _ := g.set.Get("alpha")
	testkit.Eventually(t, "the member is healthy", cluster.Endpoints()[0].Healthy)
	if _, body := g.post(listBody, spec.HeaderSession, id); !strings.Contains(body, "alpha__whoami") {
		t.Fatal(body)
	}
	a.hang.Store(true)
	testkit.Eventually(t, "the member is unhealthy", cluster.Endpoints()[0].Unhealthy)
	for range 2 {
		_, body := g.post(listBody, spec.HeaderSession, id)
		if !strings.Contains(body, "beta__whoami") || !strings.Contains(body, `unavailable":["alpha"]`) {
			t.Errorf("a list beside an unhealthy member: %s", body)
		}
	}
	if _, body := g.post(`{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{"level":"info"}}`, spec.HeaderSession, id); !strings.Contains(body, `"result"`) {
		t.Errorf("the log level beside an unhealthy member: %s", body)
	}
	a.hang.Store(false)
	a.http.CloseClientConnections() // ends what hangs
	testkit.Eventually(t, "the member is healthy again", cluster.Endpoints()[0].Healthy)
	if _, body := g.post(listBody, spec.HeaderSession, id); !strings.Contains(body, "alpha__whoami") {
		t.Errorf("a list after the member has come back: %s", body)
	}
}
