package transport

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// Target is where the connections of a pool go to.
type Target struct {
	// Endpoint names it, for errors and the trace.
	Endpoint string
	// URL has the scheme and the host of all requests. Its host is the name to
	// verify unless server_name says otherwise.
	URL *url.URL
	// Address is the IP address and port.
	Address string
	// Check: health checks use the pool, and no client does.
	Check bool
}

// Header is a field that every request of a pool has.
type Header struct{ Name, Value string } // canonical

// User counts the exchanges of a pool.
type User interface {
	// Begin is called before an exchange, and reports whether there may be one.
	Begin() bool
	// End is called after it.
	End()
}

// Pool holds the connections of one endpoint. They live in connection sets: all
// connections of a connection set are dialled within it, so a connection set that ends after
// max_connection_age, or at the client certificate's NotAfter, ends every
// connection in time, and no request can pick up one that is about to go.
type Pool struct {
	dialer  dialer
	user    User
	headers atomic.Pointer[[]Header] // nil: none
	// http2 says that the connection that was made last, where both sides could
	// choose, speaks HTTP/2.
	http2 atomic.Bool

	mu      sync.Mutex
	current *connectionSet // nil before the first request, and after a connection set's end
	closed  bool
}

// NewPool returns a pool that has no connection yet.
func NewPool(n *Connector, t Target, user User) *Pool {
	return &Pool{dialer: dialer{n, t}, user: user}
}

// SetHeaders sets the fields of every request from now on.
func (p *Pool) SetHeaders(headers []Header) {
	var own *[]Header
	if len(headers) > 0 {
		own = new(headers)
	}
	p.headers.Store(own)
}

// Dial makes a connection, TLS included, that is none of the pool's. The error is
// a *ConnectError.
func (p *Pool) Dial(ctx context.Context) (net.Conn, error) {
	return p.dialer.dial(ctx, p.dialer.alpn(), nil)
}

// Send makes the round trip of a request, whatever host its URL names: see
// http.RoundTripper. tryTimeout bounds the time to the response header; 0 is no
// bound, and the error is ErrTryTimeout. It is a *ConnectError when the request
// reached no server.
//
// Where the server has certainly not acted on the request, it is sent again, on
// another connection.
func (p *Pool) Send(req *http.Request, tryTimeout time.Duration) (*http.Response, error) {
	for try := 1; ; try++ {
		if !p.user.Begin() {
			return refuse(req, p.dialer.connectError(ErrRetired))
		}
		x, err := p.begin(req)
		if err != nil {
			p.user.End()
			return refuse(req, p.dialer.connectError(err))
		}
		res, err := x.send(req, tryTimeout)
		if err == nil {
			return res, nil
		}
		x.finish()
		if !x.repeatable || req.Context().Err() != nil {
			return nil, err
		}
		if try == sendTries {
			return nil, x.unsent(nil)
		}
		if x.carrier.Load() != nil {
			// What was refused on this connection would be so again.
			p.rotate(x.set)
		}
		if req, err = Repeat(req); err != nil {
			return nil, x.unsent(err)
		}
	}
}

// enter counts x into the connection set that will carry it.
func (p *Pool) enter(x *exchange) (*connectionSet, error) {
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
func (p *Pool) rotate(cs *connectionSet) {
	p.mu.Lock()
	if p.current == cs {
		p.current = nil
	}
	p.mu.Unlock()
	cs.retire()
}

// CloseIdle closes the connections that carry nothing.
func (p *Pool) CloseIdle() {
	p.mu.Lock()
	cs := p.current
	p.mu.Unlock()
	if cs != nil {
		cs.closeIdle()
	}
}

// Close closes all connections. Nothing may be in flight.
func (p *Pool) Close() {
	p.mu.Lock()
	cs := p.current
	p.current, p.closed = nil, true
	p.mu.Unlock()
	if cs != nil {
		cs.retire()
	}
}
