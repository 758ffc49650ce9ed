package clusters

import (
	"sync"
	"sync/atomic"
	"time"
)

// pool holds the connections of one endpoint. They live in epochs: all
// connections of an epoch are dialled within it, so an epoch that ends after
// max_connection_age, or at the client certificate's NotAfter, ends every
// connection in time, and no request can pick up one that is about to go.
type pool struct {
	dialer *dialer
	// http2 says that the connection that was made last, where both sides could
	// choose, speaks HTTP/2.
	http2 atomic.Bool

	mu      sync.Mutex
	current *epoch // nil before the first request, and after an epoch's end
	closed  bool
}

// enter counts x into the epoch that will carry it.
func (p *pool) enter(x *exchange) (*epoch, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, ErrRetired
	}
	// The timer of an epoch can be late, after the machine was suspended.
	var old *epoch
	if ep := p.current; ep != nil && ep.over(time.Now()) {
		p.current, old = nil, ep
	}
	if p.current == nil {
		p.current = newEpoch(p)
	}
	ep := p.current
	ep.join(x)
	p.mu.Unlock()
	if old != nil {
		old.retire()
	}
	return ep, nil
}

// rotate ends an epoch for new requests.
func (p *pool) rotate(ep *epoch) {
	p.mu.Lock()
	if p.current == ep {
		p.current = nil
	}
	p.mu.Unlock()
	ep.retire()
}

// closeIdle closes the connections that carry nothing.
func (p *pool) closeIdle() {
	p.mu.Lock()
	ep := p.current
	p.mu.Unlock()
	if ep != nil {
		ep.closeIdle()
	}
}

// close closes all connections. Nothing may be in flight.
func (p *pool) close() {
	p.mu.Lock()
	ep := p.current
	p.current, p.closed = nil, true
	p.mu.Unlock()
	if ep != nil {
		ep.retire()
	}
}
