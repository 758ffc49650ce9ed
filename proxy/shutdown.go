package proxy

import (
	"context"
	"os"
	"time"

	"github.com/mcpgateway/mcpgateway/listeners"
)

// shutdown ends the process in order: not ready, a delay in which load
// balancers notice, sockets closed, connections drained, sessions ended. A
// value from kill ends the waiting.
func (g *Gateway) shutdown(kill <-chan os.Signal) {
	gen := g.current.Load()
	c := gen.config.Shutdown
	g.options.Notify("STOPPING=1")
	g.ready.Store(false)
	log := g.logs.Logger()
	log.Info().Stringer("delay", c.Delay).Stringer("timeout", c.Timeout).Msg("shutting down")
	wait(kill, c.Delay)

	for _, s := range gen.served {
		s.socket.Close()
	}
	g.mu.Lock()
	servers := make([]*listeners.Server, 0, len(gen.served))
	for _, s := range gen.served {
		servers = append(servers, s.server)
	}
	for _, d := range g.draining {
		servers = append(servers, d.leaving...)
	}
	g.mu.Unlock()
	spread := min(gen.config.Drain.CloseSpread, c.Timeout/2)
	for _, s := range servers {
		s.Drain(listeners.DrainOptions{Spread: spread, Timeout: c.Timeout, CloseIdle: true})
	}
	deadline := time.NewTimer(c.Timeout + forceGrace)
	defer deadline.Stop()
drained:
	for _, s := range servers {
		select {
		case <-s.Done():
		case <-kill:
			log.Warn().Msg("second signal; stopping at once")
			break drained
		case <-deadline.C:
			break drained
		}
	}
	for _, s := range servers {
		s.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), forceGrace)
	defer cancel()
	g.hub.Close(ctx)
	g.sockets.Close()
	if g.admin != nil {
		g.admin.Close()
	}
	gen.done() // it is no longer the current one
	g.awaitWork(ctx)
	log.Info().Msg("stopped")
}

// forceGrace is how long what should have ended by itself is waited for.
const forceGrace = 5 * time.Second

// wait returns after d, or at a second signal.
func wait(kill <-chan os.Signal, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-kill:
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
