package listeners

import (
	"context"
	cryptotls "crypto/tls"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mcpgateway/mcpgateway/tls"
)

// Conn is one downstream connection, as the handlers of its requests see it.
type Conn struct {
	server *Server
	raw    net.Conn // the socket; nil for QUIC
	peer   net.Addr
	remote netip.AddrPort
	local  netip.AddrPort
	lifetime

	state    atomic.Pointer[cryptotls.ConnectionState]
	notAfter atomic.Int64 // of the client certificate, in Unix seconds; 0 is none
	streams  atomic.Int64
	crowd    crowd
	heads    heads // of requests over HTTP/1.1
	places   *places
	quic     quicHandshake
}

type contextKey struct{}

// FromContext returns the connection that a request came on; nil for a context of
// any other request.
func FromContext(ctx context.Context) *Conn {
	c, _ := ctx.Value(contextKey{}).(*Conn)
	return c
}

// newConn makes the Conn of a socket, or of a QUIC handshake that begins: raw is nil
// then.
func newConn(s *Server, raw net.Conn, remote, local net.Addr, places *places) *Conn {
	c := &Conn{
		server: s,
		raw:    raw,
		peer:   remote,
		remote: addrPort(remote),
		local:  addrPort(local),
		places: places,
		lifetime: lifetime{
			limits: &s.config.Limits,
			ending: make(chan struct{}),
			gone:   make(chan struct{}),
		},
	}
	if raw != nil {
		c.cut = func() { raw.Close() }
	} else if s.tls != nil {
		c.quic.began, c.quic.snapshot = time.Now(), s.tls.Snapshot()
	}
	return c
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
	return slices.ContainsFunc(c.server.config.TrustedProxies, func(p TrustedProxy) bool { return p.matches(addr) })
}

// HungUp reports whether the client of a request over HTTP/1.1 has hung up, or the
// connection was cut. net/http notices that only once the whole body has been read,
// and over HTTP/2 and 3 it ends the request's context.
func (c *Conn) HungUp() bool { return c.raw != nil && c.is(phaseActive) && hungUp(c.raw) }

// Stream counts an SSE or WebSocket stream until done is called, which may be
// done more than once.
func (c *Conn) Stream() (done func()) {
	c.streams.Add(1)
	return sync.OnceFunc(func() { c.streams.Add(-1) })
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
		c.server.quic.fail(c, errClosed) // quicServer.serve closes it, should it come to be
	}
	if c.is(phaseHijacked) {
		c.server.remove(c)
	}
}

// handshaken notes the TLS state, and has the connection end with its client
// certificate.
func (c *Conn) handshaken(cs *cryptotls.ConnectionState) {
	c.state.Store(cs)
	if end := tls.VerifiedUntil(cs); !end.IsZero() {
		c.notAfter.Store(end.Unix())
		c.unlessRemoved(c.awaitExpiry)
	}
}
