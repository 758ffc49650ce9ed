package listeners

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// connections are those of a Server, with the handlers of their requests: what is
// open, and when nothing is left.
type connections struct {
	grace    time.Duration // how long streams that were told to end may take
	handlers atomic.Int64

	mu       sync.Mutex
	conns    map[*Conn]struct{}
	draining bool
	shutting chan struct{} // closed once connections without a request are not to stay
	closed   bool
	drained  bool           // draining, and nothing is left
	empty    chan struct{}  // closed when drained
	running  sync.WaitGroup // the Server's goroutines; grows only before drained
	done     chan struct{}
}

func newConnections() connections {
	return connections{
		grace:    endGrace,
		conns:    make(map[*Conn]struct{}),
		shutting: make(chan struct{}),
		empty:    make(chan struct{}),
		done:     make(chan struct{}),
	}
}

// add reports false where no connection is taken any more.
func (s *connections) add(c *Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.drained {
		return false
	}
	if s.draining {
		c.retire(time.Now())
	}
	s.conns[c] = struct{}{}
	c.server.trace.opened(c.Listener())
	return true
}

func (s *connections) forget(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.finishDrain()
}

// open lists the connections.
func (s *connections) open() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.AppendSeq(make([]*Conn, 0, len(s.conns)), maps.Keys(s.conns))
}

// handled counts a handler that has returned.
func (s *connections) handled() {
	if s.handlers.Add(-1) > 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finishDrain()
}

// finishDrain closes Done once nothing is left. Called with mu held.
func (s *connections) finishDrain() {
	if !s.draining || s.drained || len(s.conns) > 0 || s.handlers.Load() > 0 {
		return
	}
	s.drained = true
	close(s.empty)
	go func() {
		s.running.Wait()
		close(s.done)
	}()
}

// Done is closed when the server drains or was closed, and no connection,
// handshake, handler or goroutine of it is left.
func (s *connections) Done() <-chan struct{} { return s.done }
