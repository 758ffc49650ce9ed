package proxy

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/mcpgateway/mcpgateway/listeners"
)

// generations are those that serve: the newest, and each older one until its last
// request has ended and its servers have drained. Requests only read the pointer.
// The zero value has none.
type generations struct {
	current atomic.Pointer[Generation]
	// work counts generations that are not released, and goroutines that wait for
	// drains.
	work sync.WaitGroup

	// mu guards draining, and that each generation that serves is found in one
	// place. No other lock is taken while it is held.
	mu       sync.Mutex
	draining []*Generation
}

// newest is the generation in force; nil before the first.
func (g *generations) newest() *Generation { return g.current.Load() }

// succeed puts gen in force. The one before it drains, with its servers that leave.
func (g *generations) succeed(gen *Generation, leaving []*listeners.Server) {
	g.mu.Lock()
	defer g.mu.Unlock()
	// In one step, for those who ask what still serves: a generation that is in
	// neither place would lose its metrics and its certificates by ACME.
	old := g.current.Swap(gen)
	if old != nil {
		old.retired, old.leaving = gen.applied, leaving
		g.draining = append(g.draining, old)
	}
}

// remove takes a generation out that has drained.
func (g *generations) remove(gen *Generation) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.draining = slices.DeleteFunc(g.draining, func(d *Generation) bool { return d == gen })
}

// serving returns, of one moment, the newest generation and those that drain.
func (g *generations) serving() (newest *Generation, draining []*Generation) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.current.Load(), slices.Clone(g.draining)
}

// leaving are the servers of all generations that drain.
func (g *generations) leaving() []*listeners.Server {
	var servers []*listeners.Server
	_, draining := g.serving()
	for _, d := range draining {
		servers = append(servers, d.leaving...)
	}
	return servers
}

// retain counts a pin of gen until done closes, and then calls after.
func (g *generations) retain(gen *Generation, done <-chan struct{}, after func()) {
	gen.use()
	gen.pins.Add(1)
	g.work.Go(func() {
		<-done
		after()
		gen.pins.Add(-1)
		gen.done()
	})
}

// wait returns when all are released and drained, or when ctx ends.
func (g *generations) wait(ctx context.Context) {
	done := make(chan struct{})
	go func() { g.work.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
}
