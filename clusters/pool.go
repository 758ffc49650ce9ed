package clusters

import (
	"sync"
	"sync/atomic"
	"time"
)

// pool holds the connections of one endpoint. They live in connection sets: all
// connections of a connection set are dialled within it, so a connection set that ends after
// max_connection_age, or at the client certificate's NotAfter, ends every
// connection in time, and no request can pick up one that is about to go.
type pool struct {
	dialer *dialer
	// http2 says that the connection that was made last, where both sides could
	// choose, speaks HTTP/2.
	http2 atomic.Bool

	mu      sync.Mutex
	current *connectionSet // nil before the first request, and after a connection set's end
	closed  bool
}

// enter counts x into the connection set that will carry it.
func (p *pool) enter(x *exchange) (*connectionSet, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, ErrRetired
	}
	// The timer of a connection set can be late, after the machine was suspended.
	var old *connectionSet
	if cs := p.current; cs != nil && cs.over(time.Now()) {
		p.current, old = nil, cs
	}
	if p.current == nil {
		p.current = newConnectionSet(p)
	}
	cs := p.current
	cs.join(x)
	p.mu.Unlock()
	if old != nil {
		old.retire()
	}
	return cs, nil
}

// rotate ends a connection set for new requests.
func (p *pool) rotate(cs *connectionSet) {
	p.mu.Lock()
	if p.current == cs {
		p.current = nil
	}
	p.mu.Unlock()
	cs.retire()
}

// closeIdle closes the connections that carry nothing.
func (p *pool) closeIdle() {
	p.mu.Lock()
	cs := p.current
	p.mu.Unlock()
	if cs != nil {
		cs.closeIdle()
	}
}

// close closes all connections. Nothing may be in flight.
func (p *pool) close() {
	p.mu.Lock()
	cs := p.current
	p.current, p.closed = nil, true
	p.mu.Unlock()
	if cs != nil {
		cs.retire()
	}
}
