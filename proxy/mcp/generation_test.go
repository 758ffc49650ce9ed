package mcp

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// repool changes what a cluster connects with, so that it gets new pools.
func (g *gateway) repool(d time.Duration, backends ...backend) {
	for i := range backends {
		backends[i].tune = func(c *clusters.Config) { c.ConnectTimeout = d }
	}
	g.commit(nil, backends...)
}

func TestSessionsOutliveGenerations(t *testing.T) {
	transports := map[string]func(name string) (backend, *server){
		"streamable_http": func(name string) (backend, *server) { s := newServer(t, name); return s.backend(name), s },
		"sse": func(name string) (backend, *server) {
			s := newServer(t, name)
			return backend{name: name, endpoints: []string{s.sse(t)}}, s
		},
		"stdio": func(name string) (backend, *server) { return stdio(name), nil },
	}
	ofEveryTransport(t, transports)
	for transport, make := range transports {
		t.Run(transport, func(t *testing.T) {
			b, _ := make("alpha")
			g := newGateway(t, nil, b)
			c := g.connect(nil)
			g.listening(1)
			stop, calls := context.WithCancel(context.Background())
			_ = stop
			var wg sync.WaitGroup
			wg.Go(func() {
				for stop.Err() == nil {
					if got := invoke(t, c, "whoami", nil); got != "alpha" {
						t.Errorf("got %s", got)
					}
				}
			})
			for i := range 5 {
				g.repool(time.Duration(i+1)*time.Second, b)
				invoke(t, c, "whoami", nil)
			}
			calls()
			wg.Wait()
			if transport == "streamable_http" && g.countUpstream() != 1 {
				t.Errorf("%d upstream sessions: Streamable HTTP keeps its own over new pools", g.countUpstream())
			}
		})
	}
}

func TestClusterAddedAndRemoved(t *testing.T) {
	a, b := newServer(t, "alpha"), newServer(t, "beta")
	g := newGateway(t, nil, a.backend("alpha"))
	var got seen
	c := g.connect(got.options())
	g.listening(1)

	g.commit(nil, a.backend("alpha"), b.backend("beta"))
	testkit.Eventually(t, "the client hears of the cluster", func() bool { return got.has("tools changed") })
	tools, err := c.ListTools(within(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"whoami", "beta__whoami"} {
		if !slices.ContainsFunc(tools.Tools, func(x *sdk.Tool) bool { return x.Name == name }) {
			t.Errorf("no %s", name)
		}
	}
	if invoke(t, c, "whoami", nil) != "alpha" || invoke(t, c, "beta__whoami", nil) != "beta" {
		t.Error("names are mixed up")
	}
	if fresh := g.connect(nil); invoke(t, fresh, "alpha__whoami", nil) != "alpha" {
		t.Error("a new session has no prefixes")
	}
	read, err := c.ReadResource(within(t), &sdk.ReadResourceParams{URI: "beta+file:///a"})
	if err != nil || read.Contents[0].URI != "beta+file:///a" {
		t.Error(read, err)
	}
	read, err = c.ReadResource(within(t), &sdk.ReadResourceParams{URI: "file:///a"})
	if err != nil || read.Contents[0].URI != "file:///a" {
		t.Error(read, err)
	}

	// A call in flight to a removed cluster ends as it began.
	done := make(chan string, 1)
	go func() { done <- invoke(t, c, "beta__wait", nil) }()
	<-b.waiting
	g.commit(nil, a.backend("alpha"))
	if _, err := c.CallTool(within(t), &sdk.CallToolParams{Name: "beta__whoami"}); err == nil {
		// A route with one cluster passes names through; its server refuses.
		t.Error("the removed cluster answers")
	}
	if invoke(t, c, "whoami", nil) != "alpha" {
		t.Error("alpha does not answer")
	}
	b.release()
	if got := <-done; got != "released" {
		t.Errorf("the call in flight: %s", got)
	}
	testkit.Eventually(t, "its upstream session ends", func() bool { return b.deletes.Load() >= 1 })
}

func TestRemovedClusterOfManyIsInvalidParams(t *testing.T) {
	a, b, c := newServer(t, "alpha"), newServer(t, "beta"), newServer(t, "gamma")
	g := newGateway(t, nil, a.backend("alpha"), b.backend("beta"), c.backend("gamma"))
	id := g.initialize()
	g.commit(nil, a.backend("alpha"), b.backend("beta"))
	_, body := g.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"gamma__whoami"}}`, spec.HeaderSession, id)
	if !strings.Contains(body, "-32602") {
		t.Error(body)
	}
}

func TestEndpointRemovedMeansInitialisingElsewhere(t *testing.T) {
	a, b := newServer(t, "alpha"), newServer(t, "alpha")
	g := newGateway(t, nil, backend{name: "alpha", endpoints: []string{a.url}})
	c := g.connect(nil)
	invoke(t, c, "whoami", nil)
	testkit.Eventually(t, "the client listens", func() bool { return a.gets.Load() == 1 })
	g.commit(nil, backend{name: "alpha", endpoints: []string{b.url}})
	before := a.requests.Load()
	if invoke(t, c, "whoami", nil) != "alpha" || b.requests.Load() == 0 {
		t.Error("the new endpoint was not used")
	}
	testkit.Eventually(t, "the old session ends", func() bool { return a.deletes.Load() == 1 })
	if n := a.requests.Load() - before; n > 1 {
		t.Errorf("%d requests to the removed endpoint", n)
	}
}

func TestRouteRemovedEndsItsSessions(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, nil, a.backend("alpha"))
	g.initialize()
	g.hub.Commit(nil)
	if !g.trace.has("closed test route_removed") {
		t.Error(g.trace.all())
	}
	testkit.Eventually(t, "the upstream session ends", func() bool { return a.deletes.Load() == 1 })
}

func TestOldGenerationDoesNotTakeSessionsBack(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, nil, a.backend("alpha"))
	id := g.initialize()
	old, set := g.current.Load(), g.set
	g.set = nil // released below, after the requests of the old generation
	g.opts = clusters.Options{}
	next := a.backend("alpha")
	next.tune = func(c *clusters.Config) { c.ConnectTimeout = time.Second }
	g.commit(nil, next)
	fresh := g.current.Load()
	for range 3 {
		for _, h := range []*Handler{old, fresh} {
			g.current.Store(h)
			if res, body := g.post(listBody, spec.HeaderSession, id); res.StatusCode != 200 || !strings.Contains(body, "whoami") {
				t.Errorf("%d %s", res.StatusCode, body)
			}
		}
	}
	set.Release()
	g.current.Store(old)
	if res, body := g.post(listBody, spec.HeaderSession, id); res.StatusCode != 200 || !strings.Contains(body, "whoami") {
		t.Errorf("after the old generation's release: %d %s", res.StatusCode, body)
	}
	if g.countUpstream() != 1 {
		t.Errorf("%d upstream sessions", g.countUpstream())
	}
}
