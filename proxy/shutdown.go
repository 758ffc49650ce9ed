package proxy

import (
	"context"
	"os"
	"time"

	"github.com/mcpgateway/mcpgateway/listeners"
)

const (
	// forceGrace is how long what should have ended by itself is waited for.
	forceGrace = 5 * time.Second
	// endGrace is the most that a stage of the end may take, of which there are
	// three: streams end, connections are cut, processes are killed.
	endGrace = 3 * time.Second
	// leastEnd is how long the process has for its end, whatever the timeout:
	// child processes are killed in it.
	leastEnd = time.Second
	// startEnd is how long a start that was told to stop may take to end.
	startEnd = 3 * time.Second
)

// stages are the moments of a shutdown, from the beginning of the drain.
type stages struct {
	tell  time.Duration // streams are told to end
	cut   time.Duration // what is left of connections is cut
	force time.Duration // what is left of sessions and processes is ended
	over  time.Duration // the process is gone
}

// stagesOf fits the stages into the timeout: a service manager kills the process
// after it, and its child processes would be left.
func stagesOf(timeout time.Duration) stages {
	grace := min(endGrace, timeout/10)
	return stages{
		tell:  timeout - 2*grace,
		cut:   max(timeout-grace, leastEnd/4), // also without a timeout, streams end by themselves
		force: max(timeout-grace/3, leastEnd/2),
		over:  max(timeout, leastEnd),
	}
}

// boundEnd is called when the process is told to stop, and bounds how long that
// takes from now on: a reload that waits for a file system which does not answer
// cannot be interrupted, and the shutdown begins after it.
func (g *Gateway) boundEnd() {
	now := time.Now()
	g.told.Store(&now)
	if gen := g.current.Load(); gen != nil {
		c := gen.config.Shutdown
		time.AfterFunc(c.Delay+stagesOf(c.Timeout).over, g.options.Abort)
		return
	}
	time.AfterFunc(startEnd, func() {
		if g.current.Load() == nil { // else it began to serve, and the shutdown has its own bound
			g.options.Abort()
		}
	})
}

// shutdown ends the process in order: not ready, a delay in which load
// balancers notice, sockets closed, connections drained, sessions ended. A
// value from kill ends all waiting.
func (g *Gateway) shutdown(kill <-chan os.Signal) {
	patience, hurry := context.WithCancel(context.Background())
	defer hurry()
	go func() {
		select {
		case <-kill:
			g.observer.Logs.ReloadLogger().Warn().Msg("a second signal came; stopping at once")
			hurry()
		case <-patience.Done():
		}
	}()
	gen, forced := g.current.Load(), patience
	if gen != nil {
		c := gen.config.Shutdown
		g.options.Notify("STOPPING=1")
		g.ready.Store(false)
		g.observer.Logs.ReloadLogger().Info().Stringer("delay", c.Delay).Stringer("timeout", c.Timeout).Msg("shutting down")
		sleep(patience, c.Delay)
		timeout := c.Timeout
		if told := g.told.Load(); told != nil {
			// What was under way at that time may have taken a part of it.
			timeout = min(timeout, max(0, c.Delay+c.Timeout-time.Since(*told)))
		}
		end := stagesOf(timeout)
		time.AfterFunc(end.over, g.options.Abort) // the process ends before, or with it
		ctx, cancel := context.WithTimeout(patience, end.force)
		defer cancel()
		forced = ctx
		g.drainAll(forced, gen, end)
	}
	ctx, cancel := context.WithTimeout(forced, forceGrace)
	defer cancel()
	g.hub.Close(ctx)
	if g.admin != nil {
		g.admin.Close(ctx)
	}
	if gen != nil {
		gen.done() // it is no longer the current one
		g.awaitWork(ctx)
		g.observer.Logs.ReloadLogger().Info().Msg("stopped")
	}
}

// drainAll closes every socket, and returns when no connection is left.
func (g *Gateway) drainAll(patience context.Context, gen *Generation, end stages) {
	deadline, cancel := context.WithTimeout(patience, end.cut)
	defer cancel()
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
	spread := min(gen.config.Drain.CloseSpread, end.tell/2)
	for _, s := range servers {
		s.Drain(listeners.DrainOptions{Spread: spread, Timeout: end.tell, CloseIdle: true})
	}
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
