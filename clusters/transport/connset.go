package transport

import (
	"context"
	cryptotls "crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
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

// connectionSet is the set of connections that were dialled in one stretch of time.
type connectionSet struct {
	pool *Pool
	// short carries the requests with short bodies, and long those with long ones.
	// Neither carries a request for an upgrade.
	short, long chooser
	// http1 says that their connections may speak HTTP/1.1.
	http1 bool
	// upgrade speaks HTTP/1.1 only: a protocol upgrade cannot travel on HTTP/2
	// (RFC 9113, section 8.6). It is nil where the cluster forces h2 or h3.
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

// chooser has one transport or several, and chooses one for each request.
type chooser interface {
	// choose returns the transport for a request. short is the length of its body in
	// bytes, and 0 where that is long.
	choose(short int64) http.RoundTripper
	CloseIdleConnections()
}

// single is one transport for all requests.
type single struct{ transport }

func (s single) choose(int64) http.RoundTripper { return s.transport }

// newConnectionSet is called with pool.mu held.
func newConnectionSet(p *Pool) *connectionSet {
	cs := &connectionSet{pool: p, exchanges: map[*exchange]struct{}{}, conns: map[io.Closer]struct{}{}}
	cs.ctx, cs.cancel = context.WithCancel(context.Background())
	cfg, now := p.dialer.settings, time.Now()
	if p.dialer.http3() {
		cs.short, cs.long = single{newHTTP3Transport(cs)}, single{newHTTP3Transport(cs)}
	} else {
		cs.overTCP()
	}

	if age := cfg.MaxConnectionAge; age > 0 {
		// A little less for each, so that endpoints do not all reconnect at once.
		age -= time.Duration(rand.Float64() * 0.1 * float64(age))
		cs.ends = now.Add(age)
		cs.timers = append(cs.timers, time.AfterFunc(age, func() { p.rotate(cs) }))
	}
	if end := p.dialer.NotAfter(); !end.IsZero() {
		if cs.ends.IsZero() || end.Before(cs.ends) {
			cs.ends = end
		}
		// A connection set begun after NotAfter has no connections that could expire:
		// the dialer refuses to make any.
		if left := end.Sub(now); left > 0 {
			cs.timers = append(cs.timers, time.AfterFunc(left, cs.expire))
		} else {
			cs.ends = time.Time{}
		}
	}
	return cs
}

// overTCP sets the transports of HTTP/1.1 and HTTP/2.
func (cs *connectionSet) overTCP() {
	d := cs.pool.dialer
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
	cs.http1 = protocols.HTTP1()
	if protocols == h1 {
		cs.upgrade = cs.transport(protocols, alpn)
		cs.short, cs.long = single{cs.upgrade}, single{cs.upgrade}
		return
	}
	dial := func() *http.Transport { return cs.transport(protocols, alpn) }
	cs.short, cs.long = newLanes(dial), newLanes(dial)
	if cs.http1 {
		cs.upgrade = cs.transport(h1, []string{"http/1.1"})
	}
}

func (cs *connectionSet) transport(protocols http.Protocols, alpn []string) *http.Transport {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return cs.dial(ctx, alpn) }
	return &http.Transport{
		DialContext:            dial,
		DialTLSContext:         dial,
		Protocols:              &protocols,
		DisableCompression:     true, // bodies pass as they are
		IdleConnTimeout:        cs.pool.dialer.settings.IdleTimeout,
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

// dial connects for this connection set. net/http dials in the background, and goes on
// when the request that asked for it has left.
func (cs *connectionSet) dial(ctx context.Context, alpn []string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(cs.ctx, cancel)()
	var tcp *trackedConn
	c, err := cs.pool.dialer.dial(ctx, alpn, func(c net.Conn) net.Conn {
		tcp = newTrackedConn(c, cs, cs.pool.dialer.identity != nil)
		return tcp
	})
	if err != nil {
		return nil, err
	}
	if secure, ok := c.(*cryptotls.Conn); ok {
		tcp.http2 = secure.ConnectionState().NegotiatedProtocol == "h2"
		if !tcp.http2 {
			c = &secureConn{secure, tcp}
		}
	} else {
		tcp.http2 = !cs.http1
	}
	if len(alpn) > 1 {
		cs.pool.http2.Store(tcp.http2)
	}
	if !cs.track(tcp) {
		c.Close()
		return nil, cs.late()
	}
	return c, nil
}

// late is the error of a connection that nothing may use any more.
func (cs *connectionSet) late() error {
	return cs.pool.dialer.connectError(errors.New("connected too late; the connection's time is over"))
}

// track remembers an open connection, unless the connection set has closed meanwhile.
func (cs *connectionSet) track(c io.Closer) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.ctx.Err() != nil {
		return false
	}
	cs.conns[c] = struct{}{}
	return true
}

// forget is called as a connection closes.
func (cs *connectionSet) forget(c io.Closer) {
	cs.mu.Lock()
	delete(cs.conns, c)
	cs.mu.Unlock()
}

func (cs *connectionSet) over(now time.Time) bool { return !cs.ends.IsZero() && !now.Before(cs.ends) }

func (cs *connectionSet) join(x *exchange) {
	cs.mu.Lock()
	cs.exchanges[x] = struct{}{}
	cs.mu.Unlock()
}

// leave is called when an exchange is over.
func (cs *connectionSet) leave(x *exchange) {
	cs.mu.Lock()
	delete(cs.exchanges, x)
	retired := cs.retired
	cs.mu.Unlock()
	if retired {
		cs.retire()
	}
}

// retire lets what is in flight finish, and closes everything else.
func (cs *connectionSet) retire() {
	cs.mu.Lock()
	cs.retired = true
	last := len(cs.exchanges) == 0
	cs.mu.Unlock()
	if last {
		cs.close()
		return
	}
	cs.closeIdle()
}

// expire ends everything: a connection must not outlive the client certificate
// that it was made with.
func (cs *connectionSet) expire() {
	cs.pool.rotate(cs)
	cs.end(fmt.Errorf("%w (at %s)", ErrExpired, cs.pool.dialer.NotAfter().UTC().Format(time.RFC3339)), nil)
	cs.close()
}

// end ends the exchanges, only those on an HTTP/2 connection unless on is nil.
func (cs *connectionSet) end(cause error, on *trackedConn) {
	cs.mu.Lock()
	exchanges := slices.Collect(maps.Keys(cs.exchanges))
	cs.mu.Unlock()
	for _, x := range exchanges {
		if on == nil || x.carrier.Load() == on {
			x.end(cause)
		}
	}
}

func (cs *connectionSet) closeIdle() {
	cs.short.CloseIdleConnections()
	cs.long.CloseIdleConnections()
	if cs.upgrade != nil {
		cs.upgrade.CloseIdleConnections()
	}
}

// close closes every connection and stops dialling.
func (cs *connectionSet) close() {
	cs.mu.Lock()
	cs.cancel()
	conns := slices.Collect(maps.Keys(cs.conns))
	timers := cs.timers
	cs.timers = nil
	cs.mu.Unlock()
	for _, t := range timers {
		t.Stop()
	}
	// First as net/http would, which sends close_notify in TLS; then what is left.
	cs.closeIdle()
	for _, c := range conns {
		c.Close()
	}
}
