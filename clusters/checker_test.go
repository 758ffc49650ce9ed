package clusters_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/clusters/peertest"
)

// The connection of the traffic is dead, the server well: so say the checks.
func TestHealthChecksHaveConnectionsOfTheirOwn(t *testing.T) {
	server := peertest.Serve(t, "", nil, http.HandlerFunc(peertest.Echo))
	way := peertest.Forward(t, server.Addr)
	cfg := cluster(t, "c", "http://"+way.Addr)
	cfg.Protocols = []string{"h2"}
	cfg.HealthCheck = checks(t, "http")
	cfg.HealthCheck.Interval, cfg.HealthCheck.Timeout, cfg.HealthCheck.UnhealthyThreshold = 10*time.Millisecond, 5*time.Second, 1
	e := get(t, newSet(t, clusters.Options{}, cfg), "c").Endpoints()[0]
	peertest.Fetch(t, e, "/")
	awaitHealth(t, e, clusters.Healthy)
	if n := way.Count(); n != 2 {
		t.Errorf("%d connections carry the traffic and the checks", n)
	}
}

// A check that meets a dead connection is over with its timeout, and the
// connection soon after.
func TestAHealthCheckLeavesASilentConnection(t *testing.T) {
	server := peertest.Serve(t, "", nil, http.HandlerFunc(peertest.Echo))
	way := peertest.Forward(t, server.Addr)
	cfg := cluster(t, "c", "http://"+way.Addr)
	cfg.Protocols = []string{"h2"}
	cfg.HealthCheck = checks(t, "http")
	cfg.HealthCheck.Interval, cfg.HealthCheck.Timeout, cfg.HealthCheck.UnhealthyThreshold = 10*time.Millisecond, 500*time.Millisecond, 1
	e := get(t, newSet(t, clusters.Options{}, cfg), "c").Endpoints()[0]
	awaitHealth(t, e, clusters.Healthy)
	way.Silence()
	awaitHealth(t, e, clusters.Unhealthy)
	awaitHealth(t, e, clusters.Healthy) // on another connection
}
