package listeners

import (
	"context"
	cryptotls "crypto/tls"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mcpgateway/mcpgateway/tls"
)

// phase is what a connection is doing.
type phase int

const (
	phaseHandshake phase = iota
	phaseIdle            // HTTP/1.1 between requests, or before the first byte
	phaseActive          // HTTP/1.1 with a request
	phaseHTTP2
	phaseHTTP3
	phaseHijacked // a handler owns it
	phaseGone     // a QUIC handshake that came to nothing
)

// Conn is one downstream connection, as the handlers of its requests see it.
type Conn struct {
	server   *Server
	raw      net.Conn  // the socket; nil for QUIC
	httpConn *httpConn // what the protocol server reads and writes; set before phaseIdle; nil for QUIC
	peer     net.Addr
	places   *places
	remote   netip.AddrPort
	local    netip.AddrPort

	state    atomic.Pointer[cryptotls.ConnectionState]
	retireAt atomic.Int64 // Unix nanoseconds; 0 is never
	notAfter atomic.Int64 // of the client certificate, in Unix seconds; 0 is none
	streams  atomic.Int64
	requests atomic.Int64 // in progress, of HTTP/3
	served   atomic.Bool  // a request of HTTP/3 has come
	answered atomic.Int64 // Unix nanoseconds: when the last request of HTTP/3 ended
	ending   chan struct{}
	gone     chan struct{}
	crowd    crowd

	heads heads // of requests over HTTP/1.1

	mu      sync.Mutex
	phase   phase
	leaving bool         // ends as soon as no request is in progress
	ended   bool         // ending is closed
	evicted bool         // it is ending, or will be cut
	removed bool         // nothing serves it any more
	client  netip.Prefix // whose place it has; the zero Prefix for none
	goAway  func()       // in phaseHTTP2 and phaseHTTP3
	cut     func()       // ends everything; nil before there is a connection
	goTimer *time.Timer  // towards retireAt, in phaseHTTP3
	idle    *time.Timer  // towards the end for want of a request, in phaseHTTP3
	expiry  *time.Timer  // towards the client certificate's NotAfter, then the force

	// Of QUIC, during the handshake.
	began    time.Time
	snapshot *tls.ServerSnapshot // which decided when it began
	// proven notes that the client is where it says, and reports whether it has a
	// place.
	proven func() (hasPlace bool)
}

type contextKey struct{}

// FromContext returns the connection that a request came on; nil for a context of
// any other request.
func FromContext(ctx context.Context) *Conn {
	c, _ := ctx.Value(contextKey{}).(*Conn)
	return c
}

func newConn(s *Server, remote, local net.Addr, places *places) *Conn {
	return &Conn{
		server: s,
		places: places,
		peer:   remote,
		remote: addrPort(remote),
		local:  addrPort(local),
		ending: make(chan struct{}),
		gone:   make(chan struct{}),
	}
}

func addrPort(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	switch a := a.(type) {
	case *net.TCPAddr:
		ap = a.AddrPort()
	case *net.UDPAddr:
		ap = a.AddrPort()
	default:
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// Listener is the name of the listener that accepted the connection.
func (c *Conn) Listener() string { return c.server.config.Name }

// RemoteAddr is the client's address; not valid on a unix socket.
func (c *Conn) RemoteAddr() netip.AddrPort { return c.remote }

// LocalAddr is the address that the client connected to; not valid on a unix
// socket.
func (c *Conn) LocalAddr() netip.AddrPort { return c.local }

// TLS is the state after the handshake, nil on plain text. It is not to be
// modified.
func (c *Conn) TLS() *cryptotls.ConnectionState { return c.state.Load() }

// Misdirected reports whether a request for host does not belong on this
// connection: its client was let in by the TLS policy of another name. HTTP/2
// and 3 use one connection for all names of its certificate (RFC 9110 section
// 7.4, RFC 9113 section 9.1.1).
func (c *Conn) Misdirected(host string) bool {
	cs := c.TLS()
	return cs != nil && !c.server.tls.Snapshot().SamePolicy(cs.ServerName, host)
}

// ForwardedIdentity is what upstreams are to be told about the client, in
// tls.ForwardedHeader; "" where it showed no certificate, or no policy asks.
func (c *Conn) ForwardedIdentity() string {
	cs := c.TLS()
	peer := tls.VerifiedPeer(cs)
	if peer == nil {
		return ""
	}
	snapshot := c.server.tls.Snapshot()
	if !snapshot.Forwards(cs.ServerName) {
		return ""
	}
	return tls.Forwarded(peer, snapshot.Leaf(cs.ServerName))
}

// TrustsProxy reports whether an address is one of the listener's
// trusted_proxies; the zero Addr means the client of a unix socket.
func (c *Conn) TrustsProxy(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("") // with one it is in no prefix
	for _, proxy := range c.server.config.TrustedProxies {
		if proxy.matches(addr) {
			return true
		}
	}
	return false
}

// Retired reports whether the connection has been told to go: its next answer
// carries Connection: close, which on HTTP/2 becomes GOAWAY.
func (c *Conn) Retired() bool {
	at := c.retireAt.Load()
	return at != 0 && time.Now().UnixNano() >= at
}

// Ending is closed when streams on the connection must end cleanly now: at the
// drain's timeout, at shutdown, at the client certificate's NotAfter. Soon
// after, the connection is cut.
func (c *Conn) Ending() <-chan struct{} { return c.ending }

// HungUp reports whether the client of a request over HTTP/1.1 has hung up, or the
// connection was cut. net/http notices that only once the whole body has been read,
// and over HTTP/2 and 3 it ends the request's context.
func (c *Conn) HungUp() bool { return c.raw != nil && c.is(phaseActive) && hungUp(c.raw) }

// Done is closed when the connection has ended. Handlers of its last requests
// may run a little longer.
func (c *Conn) Done() <-chan struct{} { return c.gone }

// Stream counts an SSE or WebSocket stream until done is called, which may be
// done more than once.
func (c *Conn) Stream() (done func()) {
	c.streams.Add(1)
	return sync.OnceFunc(func() { c.streams.Add(-1) })
}

// retire sets the moment from which on the connection is told to go; an earlier
// one stays.
func (c *Conn) retire(at time.Time) {
	moment := at.UnixNano()
	for {
		old := c.retireAt.Load()
		if old != 0 && old <= moment {
			return
		}
		if c.retireAt.CompareAndSwap(old, moment) {
			break
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == phaseHTTP3 {
		c.leaveAt(at)
	}
}

// leave ends the connection as soon as no request is in progress, which may be
// now. HTTP/2 gets GOAWAY.
func (c *Conn) leave() {
	c.retire(time.Now())
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving {
		return
	}
	c.leaving = true
	switch c.phase {
	case phaseIdle:
		// A reader that waits for the next request finds the time to be over, and
		// closes in order.
		c.httpConn.Conn.SetReadDeadline(longAgo)
	case phaseHTTP2, phaseHTTP3:
		if !c.removed {
			c.goAway()
		}
	}
}

// end has the streams end, and the connection with them.
func (c *Conn) end() {
	c.mu.Lock()
	if !c.ended {
		c.ended = true
		close(c.ending)
	}
	c.mu.Unlock()
	c.leave()
}

// kill cuts the connection.
func (c *Conn) kill() {
	c.mu.Lock()
	cut := c.cut
	c.mu.Unlock()
	switch {
	case cut != nil:
		cut()
	case c.raw == nil:
		c.server.failHandshake(c, errClosed) // serveQUIC closes it, should it come to be
	}
	if c.is(phaseHijacked) {
		c.server.remove(c)
	}
}

// setPhase moves the connection on.
func (c *Conn) setPhase(p phase) {
	c.mu.Lock()
	c.phase = p
	c.mu.Unlock()
}

// is reports whether the connection is in that phase.
func (c *Conn) is(p phase) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.phase == p
}

// setReadDeadline is how a protocol server sets one. Between requests a
// connection that is leaving has no time left, and one that is retired waits no
// longer for a next request than for its header.
func (c *Conn) setReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == phaseIdle {
		if c.leaving {
			t = longAgo
		} else if c.Retired() {
			if last := time.Now().Add(c.server.config.Limits.HeaderTimeout); t.IsZero() || t.After(last) {
				t = last
			}
		}
	}
	return c.httpConn.Conn.SetReadDeadline(t)
}

// handshaken notes the TLS state, and has the connection end with its client
// certificate.
func (c *Conn) handshaken(cs *cryptotls.ConnectionState) {
	c.state.Store(cs)
	if end := tls.VerifiedUntil(cs); !end.IsZero() {
		c.endsAt(end)
	}
}
