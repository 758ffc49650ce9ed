package proxy

import (
	"context"
	"os"
	"time"

	"github.com/mcpgateway/mcpgateway/listeners"
)

// forceGrace is how long what should have ended by itself is waited for.
const forceGrace = 5 * time.Second

// shutdown ends the process in order: not ready, a delay in which load
// balancers notice, sockets closed, connections drained, sessions ended. A
// value from kill ends all waiting.
func (g *Gateway) shutdown(kill <-chan os.Signal) {
	patience, hurry := context.WithCancel(context.Background())
	defer hurry()
	go func() {
		select {
		case <-kill:
			g.logs.ReloadLogger().Warn().Msg("second signal; stopping at once")
			hurry()
		case <-patience.Done():
		}
	}()
	gen := g.current.Load()
	if gen != nil {
		g.drainAll(patience, gen)
	}
	ctx, cancel := context.WithTimeout(patience, forceGrace)
	defer cancel()
	g.hub.Close(ctx)
	if g.admin != nil {
		g.admin.Close()
	}
	if gen != nil {
		gen.done() // it is no longer the current one
		g.awaitWork(ctx)
		g.logs.ReloadLogger().Info().Msg("stopped")
	}
}

// drainAll closes every socket, and returns when no connection is left.
func (g *Gateway) drainAll(patience context.Context, gen *Generation) {
	c := gen.config.Shutdown
	g.options.Notify("STOPPING=1")
	g.ready.Store(false)
	g.logs.ReloadLogger().Info().Stringer("delay", c.Delay).Stringer("timeout", c.Timeout).Msg("shutting down")
	sleep(patience, c.Delay)

	g.sockets.Close()
	var servers []*listeners.Server
	for _, s := range gen.served {
		servers = append(servers, s.server)
	}
	g.mu.Lock()
	for _, d := range g.draining {
		servers = append(servers, d.leaving...)
	}
	g.mu.Unlock()
	spread := min(gen.config.Drain.CloseSpread, c.Timeout/2)
	for _, s := range servers {
		s.Drain(listeners.DrainOptions{Spread: spread, Timeout: c.Timeout, CloseIdle: true})
	}
	deadline, cancel := context.WithTimeout(patience, c.Timeout+forceGrace)
	defer cancel()
	for _, s := range servers {
		select {
		case <-s.Done():
		case <-deadline.Done():
		}
	}
	for _, s := range servers {
		s.Close()
	}
}

// sleep returns after d, or when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// awaitWork waits for the goroutines of the gateway, bounded by ctx.
func (g *Gateway) awaitWork(ctx context.Context) {
	done := make(chan struct{})
	go func() { g.work.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
}
