package mcp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/slot"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

// TestThePartsOfASessionDoNotWaitForEachOther has all that takes a lock of a
// session happen at once: with -race it finds what is read without one, and a
// circle of locks by not ending.
func TestThePartsOfASessionDoNotWaitForEachOther(t *testing.T) {
	a, b := newServer(t, "alpha"), newServer(t, "beta")
	g := newGateway(t, nil, a.backend("alpha"), b.backend("beta"))
	id := g.initialize()
	s := g.hub.find(id)
	generation := func(n int) {
		cfg := *g.current.Load().cfg
		cfg.Clusters = cfg.Clusters[:1+n%2]
		next, err := g.hub.NewHandler(HandlerConfig{Route: "test", Config: &cfg, Clusters: g.set})
		if err != nil {
			t.Error(err)
			return
		}
		g.hub.Commit([]*Handler{next})
		cfg.Clusters = cfg.Clusters[:cap(cfg.Clusters)] // the next one is made of both
		g.current.Store(next)
	}
	const rounds = 40
	var wg sync.WaitGroup
	for _, op := range []func(n int){
		generation,
		func(n int) {
			g.post(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/list"}`, n), spec.HeaderSession, id)
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
		func(int) {
			s.outlets.changed(spec.ListChanges()...)
			s.outlets.tell([]byte("{}"), nil)
			s.outlets.flush()
		},
		func(int) {
			g.hub.tendSession(s, time.Now())
			g.hub.relieve()
			g.hub.byLastUse()
			g.hub.Stats()
		},
		func(int) {
			for _, p := range s.servers.all() {
				p.Revive()
				s.mapper(p.Cluster())
				p.Shareable()
			}
			s.servers.startListening()
		},
	} {
		wg.Go(func() {
			for n := range rounds {
				op(n)
			}
		})
	}
	wg.Go(func() {
		for s.calls.only() == nil && s.life.ctx.Err() == nil && !t.Failed() {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(100 * time.Millisecond)
		s.end("test", errEnded) // while all of it goes on
	})
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		var stacks strings.Builder
		_ = pprof.Lookup("goroutine").WriteTo(&stacks, 1)
		t.Fatalf("it does not end:\n%s", stacks.String())
	}
	if err := s.servers.at("gamma").Use(within(t), &slot.Call{Generation: &g.current.Load().route.slots}, func(*upstream.Session) error { return nil }); !errors.Is(err, errEnded) {
		t.Errorf("a session that has ended reaches a server: %v", err)
	}
	if s.outlets.listening() || s.life.spawn(func() {}) {
		t.Error("a session that has ended takes something")
	}
}
