package reload_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/proxy/admin"
)

// After two hundred reloads of every kind, under load and with streams open,
// the process is back where it was, and no request was refused.
func TestTwoHundredReloadsUnderLoadLeaveNothingBehind(t *testing.T) {
	// Upstream connections without a request are soon closed, so that they do
	// not count as what was left behind.
	const brief = "idle_timeout: 500ms"
	e := harness.NewEdge(t, func(e *harness.Edge) { e.Cluster = brief })

	// The yardstick is the process after it has served everything once.
	warm := harness.Open(t, e.API, e.Base(), "http/1.1", harness.Client(t, e.CA.PEM(), "http/1.1"))
	warm.Finish()
	var before harness.Weight
	e.Eventually("the process to rest", func() (err error) { before, err = e.Weigh(); return err })

	var failed atomic.Pointer[string]
	var requests atomic.Int64
	stop := make(chan struct{})
	var load sync.WaitGroup
	var clients []*http.Client
	for i := range 9 {
		protocol := harness.Transports[i%3]
		c, _ := harness.ClientOf(t, protocol, e.CA.PEM(), nil)
		clients = append(clients, c)
		base := e.Base()
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				resp, err := c.Get(base + "/ok")
				if err != nil || resp.StatusCode != http.StatusOK {
					s := fmt.Sprintf("%s: %v %v", protocol, err, resp)
					failed.CompareAndSwap(nil, &s)
					return
				}
				resp.Body.Close()
				requests.Add(1)
			}
		})
	}
	var streamClients []*http.Client
	for _, protocol := range harness.Transports {
		c, _ := harness.ClientOf(t, protocol, e.CA.PEM(), nil)
		streamClients = append(streamClients, c)
	}
	clients = append(clients, streamClients...)
	var streams []*harness.Opened
	for i := range 200 {
		if i%20 == 0 {
			for j, p := range harness.Transports {
				streams = append(streams, harness.Open(t, e.API, e.Base(), p, streamClients[j]))
			}
		}
		switch i % 5 {
		case 0:
			e.Issue("server", "localhost", "127.0.0.1")
		case 1:
			e.Routes = fmt.Sprintf("  - match: {path: /api/route-%d}\n    respond: {status: 204}", i)
		case 2:
			e.Cluster = brief + fmt.Sprintf("\n    headers: {X-Round: \"%d\"}", i)
		case 3:
			e.Clusters = fmt.Sprintf("  - name: extra-%d\n    endpoints: [\"%s\"]\n    health_check: {kind: http, path: /ok, interval: 50ms}", i, e.Upstream.URL)
		case 4:
			e.Cluster = brief + fmt.Sprintf("\n    connect_timeout: %dms", 4000+i)
		}
		if o := e.Apply(e.YAML()); o.Result != admin.Applied {
			t.Fatalf("reload %d: %s %v", i, o.Result, o.Errors)
		}
		if i%20 == 19 {
			for _, s := range streams {
				s.Finish()
			}
			streams = nil
		}
		if s := failed.Load(); s != nil {
			t.Fatalf("a request failed after %d reloads: %s", i, *s)
		}
	}
	close(stop)
	load.Wait()
	if s := failed.Load(); s != nil {
		t.Fatalf("a request failed: %s", *s)
	}
	for _, c := range clients {
		c.CloseIdleConnections()
	}
	e.Clusters, e.Cluster, e.Routes = "", brief, ""
	e.Change()
	after := e.SettlesAt(before)
	t.Logf("%d requests; before: %+v, after: %+v", requests.Load(), before, after)
}

// The same for MCP: sessions of the official SDK call, ask and listen all the
// time, while identities, clusters and the listener itself change.
func TestSessionsOutliveAHundredReloadsAndLeaveNothingBehind(t *testing.T) {
	w := harness.NewWorld(t)
	first := w.Connect(t, "echo")
	first.More(t, 5)
	first.Stop(t)
	var before harness.Weight
	w.Eventually("the process to rest", func() (err error) { before, err = w.Weigh(); return err })

	var callers []*harness.Caller
	for range 4 {
		callers = append(callers, w.Connect(t, "echo"))
	}
	for i := range 100 {
		switch i % 5 {
		case 0:
			w.IssueClient(t, "one", fmt.Sprintf("client one, round %d", i))
		case 1:
			w.Members = []string{"one", "one, two"}[i/5%2]
		case 2:
			w.Limits = fmt.Sprintf("idle_timeout: %dm", i+1)
		case 3:
			w.IssueServer(t)
		case 4:
			w.Route = fmt.Sprintf("  - match: {path: /route-%d}\n    health: live", i)
		}
		w.MustApply(w.YAML())
		for _, c := range callers {
			c.More(t, 1)
		}
	}
	for _, c := range callers {
		if r, err := c.Session.CallTool(context.Background(), &mcp.CallToolParams{Name: "ask", Arguments: map[string]any{"text": "well?"}}); err != nil || r.IsError {
			t.Errorf("elicitation after the storm: %v, %+v", err, r)
		}
		c.Stop(t)
	}
	w.Members, w.Route = "one", ""
	w.MustApply(w.YAML())
	w.SettlesAt(before)
}

func TestMetricsSpeakOfWhatHappened(t *testing.T) {
	t.Parallel()
	e := harness.NewEdge(t)
	c := harness.Client(t, e.CA.PEM(), "h2")
	harness.Get(t, c, e.Base()+"/ok")
	e.Eventually("the request to be counted", func() error {
		body, err := e.Metrics()
		if err != nil {
			return err
		}
		for _, want := range []string{
			`mcpgateway_requests_total{code="200",flag="",route="/api"} 1`,
			`mcpgateway_generation 1`,
			`mcpgateway_listener_connections_total{listener="public"} 1`,
			`mcpgateway_certificate_not_after_timestamp_seconds{`,
			`mcpgateway_cluster_requests_total{cluster="api",code="200"`,
			`mcpgateway_reloads_total{result="applied"} 1`,
		} {
			if !strings.Contains(body, want) {
				return fmt.Errorf("%s is missing in:\n%s", want, body)
			}
		}
		return nil
	})
}
