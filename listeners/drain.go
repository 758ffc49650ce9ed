package listeners

import (
	"math/rand/v2"
	"time"
)

const (
	// endGrace is how long streams that were told to end may take.
	endGrace = 5 * time.Second
	// idleMoment is what is added to the spread before idle connections are
	// closed: the last to be told may have a request on the wire.
	idleMoment = time.Second
)

// DrainOptions say how a server's connections end.
type DrainOptions struct {
	// Spread is the time over which connections are told to go.
	Spread time.Duration
	// Timeout is when streams are told to end, soon after which whatever is
	// left is cut.
	Timeout time.Duration
	// CloseIdle closes connections without a request once Spread has passed.
	// Otherwise they may send one more, within the idle timeout.
	CloseIdle bool
}

// Drain retires all connections, and returns at once; Done tells the end. A
// connection that is handed over later is still served, with its first answer
// telling it to go. Several drains, such as that of a reload and that of the
// shutdown during it, act together.
func (s *connections) Drain(options DrainOptions) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	now := time.Now()
	for c := range s.conns {
		c.retire(now.Add(within(options.Spread)))
	}
	s.finishDrain()
	if !s.drained {
		s.running.Go(func() { s.drain(options) })
	}
}

// drain follows the clock of one Drain until the server is empty.
func (s *connections) drain(options DrainOptions) {
	left := options.Timeout
	if idle := options.Spread + idleMoment; options.CloseIdle && idle < left {
		left -= idle
		if !s.wait(idle) {
			return
		}
		s.hurry()
		for _, c := range s.open() {
			c.leave()
		}
	}
	if !s.wait(left) {
		return
	}
	for _, c := range s.open() {
		c.end()
	}
	// Again and again, for what a socket may still hand over.
	for s.wait(s.grace) {
		for _, c := range s.open() {
			c.kill()
		}
	}
}

// hurry ends connections of HTTP/3 that have been sent GOAWAY.
func (s *connections) hurry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !isClosed(s.shutting) {
		close(s.shutting)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// wait reports whether the server still has something to drain after d.
func (s *connections) wait(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-s.empty:
		return false
	}
}

// Retire ends connections of peers that are no longer authorised, within spread:
// each is told to go at a random moment in it; when it has passed, those without a
// request are closed, and streams on the others are told to end. What is left soon
// after is cut. It returns at once.
func (s *connections) Retire(conns []*Conn, spread time.Duration) {
	now := time.Now()
	for _, c := range conns {
		c.retire(now.Add(within(spread)))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drained || len(conns) == 0 {
		return
	}
	s.running.Go(func() {
		if s.wait(spread) {
			for _, c := range conns {
				c.evict()
			}
		}
	})
}

// Close cuts every connection. Done tells when their handlers have returned.
func (s *connections) Close() {
	s.mu.Lock()
	s.draining, s.closed = true, true
	s.finishDrain()
	s.mu.Unlock()
	for _, c := range s.open() {
		c.kill()
	}
}

// within is a random part of d.
func within(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(d)
}
