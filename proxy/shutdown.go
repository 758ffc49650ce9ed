package proxy

import (
	"context"
	"os"
	"sync/atomic"
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
	endStreams     time.Duration // streams that still run are ended
	cutConnections time.Duration // what is left of connections is cut
	endSessions    time.Duration // what is left of sessions and processes is ended
	over           time.Duration // the process is gone
}

// stagesOf fits the stages into the timeout: a service manager kills the process
// after it, and its child processes would be left.
func stagesOf(timeout time.Duration) stages {
	grace := min(endGrace, timeout/10)
	return stages{
		endStreams:     timeout - 2*grace,
		cutConnections: max(timeout-grace, leastEnd/4), // also without a timeout, streams end by themselves
		endSessions:    max(timeout-grace/3, leastEnd/2),
		over:           max(timeout, leastEnd),
	}
}

// A shutdown ends the process.
type shutdown struct {
	shared *shared
	notify serviceManager
	// abort ends the process at once.
	abort func()
	// requested is when the process was told to stop; nil before.
	requested atomic.Pointer[time.Time]
}

// request is called when the process is told to stop, and bounds how long that
// takes from now on: a reload that waits for a file system which does not answer
// cannot be interrupted, and the shutdown begins after it.
func (s *shutdown) request() {
	now := time.Now()
	s.requested.Store(&now)
	if gen := s.shared.generations.newest(); gen != nil {
		c := gen.config.Shutdown
		time.AfterFunc(c.Delay+stagesOf(c.Timeout).over, s.abort)
		return
	}
	time.AfterFunc(startEnd, func() {
		if s.shared.generations.newest() == nil { // else it began to serve, and the shutdown has its own bound
			s.abort()
		}
	})
}

// run ends the process in order: not ready, a delay in which load
// balancers notice, sockets closed, connections drained, sessions ended. A
// value from kill ends all waiting.
func (s *shutdown) run(kill <-chan os.Signal) {
	logs := s.shared.observer.Logs
	patience, hurry := context.WithCancel(context.Background())
	defer hurry()
	go func() {
		select {
		case <-kill:
			logs.ReloadLogger().Warn().Msg("a second signal came; stopping at once")
			hurry()
		case <-patience.Done():
		}
	}()
	gen, forced := s.shared.generations.newest(), patience
	if gen != nil {
		c := gen.config.Shutdown
		s.notify.stopping()
		s.shared.ready.Store(false)
		logs.ReloadLogger().Info().Stringer("delay", c.Delay).Stringer("timeout", c.Timeout).Msg("shutting down")
		select {
		case <-time.After(c.Delay):
		case <-patience.Done():
		}
		timeout := c.Timeout
		if requested := s.requested.Load(); requested != nil {
			// What was under way at that time may have taken a part of it.
			timeout = min(timeout, max(0, c.Delay+c.Timeout-time.Since(*requested)))
		}
		end := stagesOf(timeout)
		time.AfterFunc(end.over, s.abort) // the process ends before, or with it
		ctx, cancel := context.WithTimeout(patience, end.endSessions)
		defer cancel()
		forced = ctx
		s.drainAll(forced, gen, end)
	}
	ctx, cancel := context.WithTimeout(forced, forceGrace)
	defer cancel()
	s.shared.hub.Close(ctx)
	if s.shared.admin != nil {
		s.shared.admin.Close(ctx)
	}
	if gen != nil {
		gen.done() // it is no longer the current one
		s.shared.generations.wait(ctx)
		logs.ReloadLogger().Info().Msg("stopped")
	}
}

// drainAll closes every socket, and returns when no connection is left.
func (s *shutdown) drainAll(patience context.Context, gen *Generation, end stages) {
	deadline, cancel := context.WithTimeout(patience, end.cutConnections)
	defer cancel()
	s.shared.sockets.Close()
	servers := s.shared.generations.leaving()
	for i := range gen.served {
		servers = append(servers, gen.served[i].server)
	}
	spread := min(gen.config.Drain.CloseSpread, end.endStreams/2)
	for _, server := range servers {
		server.Drain(listeners.DrainOptions{Spread: spread, Timeout: end.endStreams, CloseIdle: true})
	}
	for _, server := range servers {
		select {
		case <-server.Done():
		case <-deadline.Done():
		}
	}
	for _, server := range servers {
		server.Close()
	}
}
