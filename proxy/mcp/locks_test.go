package mcp

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// TestRequestsOfASessionDoNotWaitForEachOther has all that a client sends, by HTTP and
// past the guard, happen at once, while generations change and until the session ends:
// with -race it finds what is read without a lock, and a circle of locks by not ending.
func TestRequestsOfASessionDoNotWaitForEachOther(t *testing.T) {
	a, b := newServer(t, "alpha"), newServer(t, "beta")
	g := newGateway(t, nil, a.backend("alpha"), b.backend("beta"))
	both := g.cfg.Clusters
	res, _ := g.post(initOf(spec.Batches))
	id := res.Header.Get(spec.HeaderSession)
	const rounds = 40
	var wg sync.WaitGroup
	var half sync.WaitGroup // until each has made half of its rounds
	for _, op := range []func(n int){
		func(n int) {
			cfg := *g.cfg
			cfg.Clusters = both[:1+n%2]
			next, err := g.hub.NewHandler(HandlerConfig{Route: "test", Config: &cfg, Clusters: g.set})
			if err != nil {
				t.Error(err)
				return
			}
			g.hub.Commit([]*Handler{next})
			g.current.Store(next)
		},
		func(n int) {
			g.post(fmt.Sprintf(`[{"jsonrpc":"2.0","id":"a%d","method":"tools/list"},{"jsonrpc":"2.0","id":"b%d","method":"ping"}]`, n, n), spec.HeaderSession, id)
		},
		func(n int) {
			g.post(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"alpha__steps","_meta":{"progressToken":1}}}`, n),
				spec.HeaderSession, id, "Accept", "text/event-stream")
		},
		func(n int) {
			g.post(fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d}}`, n), spec.HeaderSession, id)
			g.post(`{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`, spec.HeaderSession, id)
		},
		func(int) {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
			defer cancel()
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, g.url, nil)
			req.Header.Set("Accept", "text/event-stream")
			req.Header.Set(spec.HeaderSession, id)
			if res, err := g.server.Client().Do(req); err == nil {
				res.Body.Close()
			}
		},
		func(int) { g.hub.Stats() },
	} {
		half.Add(1)
		wg.Go(func() {
			for n := range rounds {
				if n == rounds/2 {
					half.Done()
				}
				op(n)
			}
		})
	}
	wg.Go(func() {
		half.Wait()
		g.do(http.MethodDelete, "", spec.HeaderSession, id) // while the rest goes on
	})
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		panic("it does not end") // and shows every goroutine
	}
}
