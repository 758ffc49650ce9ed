package main_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/proxy/admin"
)

// weight is what the process holds: from /proc and its own metrics.
type weight struct{ goroutines, descriptors, heap int }

func (g *gateway) weigh() (w weight, err error) {
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", g.cmd.Process.Pid))
	if err != nil {
		return w, err
	}
	w.descriptors = len(fds)
	body, err := g.metrics()
	if err != nil {
		return w, err
	}
	for line := range strings.Lines(body) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		f, _ := strconv.ParseFloat(value, 64)
		switch name {
		case "go_goroutines":
			w.goroutines = int(f)
		case "go_memstats_heap_inuse_bytes":
			w.heap = int(f)
		}
	}
	return w, nil
}

// After two hundred reloads of every kind, under load and with streams open,
// the process is back where it was, and no request was refused.
func TestTwoHundredReloadsUnderLoadLeaveNothingBehind(t *testing.T) {
	// Upstream connections without a request are soon closed, so that they do
	// not count as what was left behind.
	const brief = "idle_timeout: 500ms"
	e := newEdge(t, func(e *edge) { e.cluster = brief })

	// The yardstick is the process after it has served everything once.
	warm := open(t, e.api, e.base(), "http/1.1", client(t, e.ca.PEM(), "http/1.1"))
	warm.finish()
	var before weight
	e.eventually("the process to rest", func() (err error) { before, err = e.weigh(); return err })

	var failed atomic.Pointer[string]
	var requests atomic.Int64
	stop := make(chan struct{})
	var load sync.WaitGroup
	var clients []*http.Client
	for i := range 9 {
		protocol := transports[i%3]
		c, _ := clientOf(t, protocol, e.ca.PEM(), nil)
		clients = append(clients, c)
		base := e.base()
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
	for _, protocol := range transports {
		c, _ := clientOf(t, protocol, e.ca.PEM(), nil)
		streamClients = append(streamClients, c)
	}
	clients = append(clients, streamClients...)
	var streams []*opened
	for i := range 200 {
		if i%20 == 0 {
			for j, p := range transports {
				streams = append(streams, open(t, e.api, e.base(), p, streamClients[j]))
			}
		}
		switch i % 5 {
		case 0:
			e.issue("server", "localhost", "127.0.0.1")
		case 1:
			e.routes = fmt.Sprintf("  - match: {path: /api/route-%d}\n    respond: {status: 204}", i)
		case 2:
			e.cluster = brief + fmt.Sprintf("\n    headers: {X-Round: \"%d\"}", i)
		case 3:
			e.clusters = fmt.Sprintf("  - name: extra-%d\n    endpoints: [\"%s\"]\n    health_check: {kind: http, path: /ok, interval: 50ms}", i, e.upstream.URL)
		case 4:
			e.cluster = brief + fmt.Sprintf("\n    connect_timeout: %dms", 4000+i)
		}
		if o := e.apply(e.yaml()); o.Result != admin.Applied {
			t.Fatalf("reload %d: %s %v", i, o.Result, o.Errors)
		}
		if i%20 == 19 {
			for _, s := range streams {
				s.finish()
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
	e.clusters, e.cluster, e.routes = "", brief, ""
	e.change()
	after := e.settlesAt(before)
	t.Logf("%d requests; before: %+v, after: %+v", requests.Load(), before, after)
}

// settlesAt waits until nothing drains and the process weighs no more than it
// did.
func (g *gateway) settlesAt(before weight) (after weight) {
	g.t.Helper()
	g.eventually("the process to weigh what it did before", func() (err error) {
		if after, err = g.weigh(); err != nil {
			return err
		}
		s := g.status()
		// A few of each are in motion at any moment: a scrape, a health check.
		if len(s.Draining) == 0 && after.goroutines <= before.goroutines+5 && after.descriptors <= before.descriptors+5 && after.heap <= before.heap+8<<20 {
			return nil
		}
		return fmt.Errorf("before: %+v, after: %+v, draining: %+v, listeners: %+v, sessions: %d", before, after, s.Draining, s.Listeners, s.Sessions)
	})
	return after
}

// The same for MCP: sessions of the official SDK call, ask and listen all the
// time, while identities, clusters and the listener itself change.
func TestSessionsOutliveAHundredReloadsAndLeaveNothingBehind(t *testing.T) {
	w := newWorld(t)
	first := w.connect(t, "echo")
	first.more(t, 5)
	first.stop(t)
	var before weight
	w.eventually("the process to rest", func() (err error) { before, err = w.weigh(); return err })

	var callers []*caller
	for range 4 {
		callers = append(callers, w.connect(t, "echo"))
	}
	for i := range 100 {
		switch i % 5 {
		case 0:
			w.issueClient(t, "one", fmt.Sprintf("client one, round %d", i))
		case 1:
			w.members = []string{"one", "one, two"}[i/5%2]
		case 2:
			w.limits = fmt.Sprintf("idle_timeout: %dm", i+1)
		case 3:
			w.issueServer(t)
		case 4:
			w.route = fmt.Sprintf("  - match: {path: /route-%d}\n    health: live", i)
		}
		w.mustApply(w.yaml())
		for _, c := range callers {
			c.more(t, 1)
		}
	}
	for _, c := range callers {
		if r, err := c.session.CallTool(context.Background(), &mcp.CallToolParams{Name: "ask", Arguments: map[string]any{"text": "well?"}}); err != nil || r.IsError {
			t.Errorf("elicitation after the storm: %v, %+v", err, r)
		}
		c.stop(t)
	}
	w.members, w.route = "one", ""
	w.mustApply(w.yaml())
	w.settlesAt(before)
}

func TestMetricsSpeakOfWhatHappened(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	c := client(t, e.ca.PEM(), "h2")
	get(t, c, e.base()+"/ok")
	e.eventually("the request to be counted", func() error {
		body, err := e.metrics()
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
