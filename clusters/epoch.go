package clusters

import (
	"context"
	cryptotls "crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// maxIdle bounds the idle HTTP/1.1 connections of an endpoint; net/http's
	// default of two would close and open connections under any load.
	maxIdle = 1024
	// maxResponseHeader bounds the response header in bytes.
	maxResponseHeader = 256 << 10
	// continueTimeout is how long a request with "Expect: 100-continue" waits
	// before its body is sent all the same (RFC 9110, section 10.1.1).
	continueTimeout = time.Second
)

// epoch is the set of connections that were dialled in one stretch of time.
type epoch struct {
	pool *pool
	main transport // nil where there are lanes
	// lanes are for connections that may speak HTTP/2.
	lanes *lanes
	// longMain and longLanes are the same for long bodies.
	longMain  transport
	longLanes *lanes
	// http1 says that connections of main may speak HTTP/1.1.
	http1 bool
	// upgrade speaks HTTP/1.1 only: a protocol upgrade cannot travel on HTTP/2
	// (RFC 9113, section 8.6). It is main where there are no lanes but HTTP/1.1, and
	// nil where the cluster forces h2 or h3.
	upgrade transport
	ends    time.Time // zero: never
	ctx     context.Context
	cancel  context.CancelFunc

	mu        sync.Mutex
	exchanges map[*exchange]struct{}
	conns     map[io.Closer]struct{}
	retired   bool
	timers    []*time.Timer
}

// transport is what HTTP travels on, with the connections that it keeps.
type transport interface {
	http.RoundTripper
	CloseIdleConnections()
}

// newEpoch is called with pool.mu held.
func newEpoch(p *pool) *epoch {
	ep := &epoch{pool: p, exchanges: map[*exchange]struct{}{}, conns: map[io.Closer]struct{}{}}
	ep.ctx, ep.cancel = context.WithCancel(context.Background())
	cfg, now := p.dialer.settings, time.Now()
	if p.dialer.http3() {
		ep.main, ep.longMain = newHTTP3Transport(ep), newHTTP3Transport(ep)
	} else {
		ep.overTCP()
	}

	if age := cfg.MaxConnectionAge; age > 0 {
		// A little less for each, so that endpoints do not all reconnect at once.
		age -= time.Duration(rand.Float64() * 0.1 * float64(age))
		ep.ends = now.Add(age)
		ep.timers = append(ep.timers, time.AfterFunc(age, func() { p.rotate(ep) }))
	}
	if end := p.dialer.notAfter(); !end.IsZero() {
		if ep.ends.IsZero() || end.Before(ep.ends) {
			ep.ends = end
		}
		// An epoch begun after NotAfter has no connections that could expire:
		// the dialer refuses to make any.
		if left := end.Sub(now); left > 0 {
			ep.timers = append(ep.timers, time.AfterFunc(left, ep.expire))
		} else {
			ep.ends = time.Time{}
		}
	}
	return ep
}

// overTCP sets the transports of HTTP/1.1 and HTTP/2.
func (ep *epoch) overTCP() {
	d := ep.pool.dialer
	var protocols, h1 http.Protocols
	h1.SetHTTP1(true)
	alpn := d.alpn()
	if d.identity == nil {
		h2c := slices.Equal(d.settings.Protocols, []string{"h2"})
		protocols.SetUnencryptedHTTP2(h2c)
		protocols.SetHTTP1(!h2c)
	} else {
		protocols.SetHTTP2(slices.Contains(alpn, "h2"))
		protocols.SetHTTP1(slices.Contains(alpn, "http/1.1"))
	}
	ep.http1 = protocols.HTTP1()
	if protocols == h1 {
		ep.main = ep.transport(protocols, alpn)
		ep.longMain, ep.upgrade = ep.main, ep.main
		return
	}
	dial := func() *http.Transport { return ep.transport(protocols, alpn) }
	ep.lanes, ep.longLanes = newLanes(dial), newLanes(dial)
	if ep.http1 {
		ep.upgrade = ep.transport(h1, []string{"http/1.1"})
	}
}

func (ep *epoch) transport(protocols http.Protocols, alpn []string) *http.Transport {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return ep.dial(ctx, alpn) }
	return &http.Transport{
		DialContext:            dial,
		DialTLSContext:         dial,
		Protocols:              &protocols,
		DisableCompression:     true, // bodies pass as they are
		IdleConnTimeout:        ep.pool.dialer.settings.IdleTimeout,
		MaxIdleConnsPerHost:    maxIdle,
		MaxResponseHeaderBytes: maxResponseHeader,
		ExpectContinueTimeout:  continueTimeout,
		HTTP2:                  &http.HTTP2Config{MaxReceiveBufferPerStream: StreamWindow, SendPingTimeout: pingAfter, PingTimeout: pingWait},
	}
}

// StreamWindow is how much of an answer, in bytes, a server may send over HTTP/2
// and HTTP/3 before any of it is read: what is kept for a client that reads
// slowly.
const StreamWindow = 512 << 10

// dial connects for this epoch. net/http dials in the background, and goes on
// when the request that asked for it has left.
func (ep *epoch) dial(ctx context.Context, alpn []string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ep.ctx, cancel)()
	var tcp *trackedConn
	c, err := ep.pool.dialer.dial(ctx, alpn, func(c net.Conn) net.Conn {
		tcp = &trackedConn{Conn: c, epoch: ep, secure: ep.pool.dialer.identity != nil}
		return tcp
	})
	if err != nil {
		return nil, err
	}
	if secure, ok := c.(*cryptotls.Conn); ok {
		tcp.http2 = secure.ConnectionState().NegotiatedProtocol == "h2"
		if !tcp.http2 {
			c = &secureConn{Conn: secure}
		}
	} else {
		tcp.http2 = !ep.http1
	}
	if len(alpn) > 1 {
		ep.pool.http2.Store(tcp.http2)
	}
	if !ep.track(tcp) {
		c.Close()
		return nil, ep.late()
	}
	return c, nil
}

// late is the error of a connection that nothing may use any more.
func (ep *epoch) late() error {
	return &ConnectError{ep.pool.dialer.cluster, ep.pool.dialer.endpoint, errors.New("connected too late; the connection's time is over")}
}

// trackedConn is a connection that its epoch can close.
type trackedConn struct {
	net.Conn
	epoch   *epoch
	secure  bool // TLS is above it
	http2   bool // set before net/http has the connection
	silence silence
	head    headScan
}

// CloseWrite half-closes the connection where it can be: an upgraded one may
// go on in the other direction.
func (c *trackedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return http.ErrNotSupported
}

func (c *trackedConn) Close() error {
	c.epoch.forget(c)
	return c.Conn.Close()
}

// track remembers an open connection, unless the epoch has closed meanwhile.
func (ep *epoch) track(c io.Closer) bool {
	ep.mu.Lock()
	defer ep.mu.Unlock()
	if ep.ctx.Err() != nil {
		return false
	}
	ep.conns[c] = struct{}{}
	return true
}

// forget is called as a connection closes.
func (ep *epoch) forget(c io.Closer) {
	ep.mu.Lock()
	delete(ep.conns, c)
	ep.mu.Unlock()
}

func (ep *epoch) over(now time.Time) bool { return !ep.ends.IsZero() && !now.Before(ep.ends) }

func (ep *epoch) join(x *exchange) {
	ep.mu.Lock()
	ep.exchanges[x] = struct{}{}
	ep.mu.Unlock()
}

// leave is called when an exchange is over.
func (ep *epoch) leave(x *exchange) {
	ep.mu.Lock()
	delete(ep.exchanges, x)
	retired, last := ep.retired, len(ep.exchanges) == 0
	ep.mu.Unlock()
	switch {
	case retired && last:
		ep.close()
	case retired:
		ep.closeIdle()
	}
}

// retire lets what is in flight finish, and closes everything else.
func (ep *epoch) retire() {
	ep.mu.Lock()
	ep.retired = true
	last := len(ep.exchanges) == 0
	ep.mu.Unlock()
	if last {
		ep.close()
		return
	}
	ep.closeIdle()
}

// expire ends everything: a connection must not outlive the client certificate
// that it was made with.
func (ep *epoch) expire() {
	ep.pool.rotate(ep)
	ep.mu.Lock()
	exchanges := make([]*exchange, 0, len(ep.exchanges))
	for x := range ep.exchanges {
		exchanges = append(exchanges, x)
	}
	ep.mu.Unlock()
	for _, x := range exchanges {
		x.end(fmt.Errorf("%w (at %s)", ErrExpired, ep.pool.dialer.notAfter().UTC().Format(time.RFC3339)))
	}
	ep.close()
}

func (ep *epoch) closeIdle() {
	if ep.lanes != nil {
		ep.lanes.CloseIdleConnections()
		ep.longLanes.CloseIdleConnections()
	} else {
		ep.main.CloseIdleConnections()
		ep.longMain.CloseIdleConnections()
	}
	if ep.upgrade != nil && ep.upgrade != ep.main {
		ep.upgrade.CloseIdleConnections()
	}
}

// close closes every connection and stops dialling.
func (ep *epoch) close() {
	ep.mu.Lock()
	ep.cancel()
	conns := make([]io.Closer, 0, len(ep.conns))
	for c := range ep.conns {
		conns = append(conns, c)
	}
	timers := ep.timers
	ep.timers = nil
	ep.mu.Unlock()
	for _, t := range timers {
		t.Stop()
	}
	// First as net/http would, which says goodbye in TLS; then what is left.
	ep.closeIdle()
	for _, c := range conns {
		c.Close()
	}
}
