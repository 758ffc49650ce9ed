package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// exchange is one request on its way through a pool, from before its
// connection is chosen until its response body is closed.
type exchange struct {
	pool      *Pool
	set       *connectionSet
	upgrade   bool
	interrupt interruption
	// trace, url and body are parts of the request and the response.
	trace httptrace.ClientTrace
	url   url.URL
	body  streamBody
	// connected says that a connection was chosen for the request; until then
	// nothing of it was sent.
	connected atomic.Bool
	// fresh says that nothing was sent on that connection before.
	fresh atomic.Bool
	// carrier is the connection, if that speaks HTTP/2, and heard what had come
	// on it when the request got it.
	carrier atomic.Pointer[trackedConn]
	heard   atomic.Int64
	scan    *headScan // of an HTTP/1.1 connection
	lane    *lane     // nil where there are none
	offLane sync.Once
	flow    *flow        // of a long body on a lane
	short   atomic.Int64 // the length of a short body among the lane's crowd
	// inform is the function of OnInterim; nil without.
	inform   func(status int, header textproto.MIMEHeader) error
	finished sync.Once
	// tries counts what net/http repeats over HTTP/2, once says that it may not, and
	// repeatable that the request failed in a way that lets it be sent again.
	tries      int
	once       bool
	repeatable bool

	mu    sync.Mutex
	ended error     // why the exchange was ended from our side
	conn  io.Closer // the upgraded connection, which the end of interrupt.ctx does not close
}

// begin makes the exchange of a request, which the user of the pool has counted.
func (p *Pool) begin(req *http.Request) (*exchange, error) {
	x := &exchange{pool: p, upgrade: isUpgrade(req)}
	x.trace.GotConn = x.gotConn
	if long(req) {
		// x.flow is nil where there are no lanes, and set before the round trip.
		x.trace.WroteRequest = func(httptrace.WroteRequestInfo) {
			if x.flow != nil {
				x.flow.sent()
			}
		}
	}
	if x.inform, _ = req.Context().Value(interimKey{}).(func(int, textproto.MIMEHeader) error); x.inform != nil {
		x.trace.Got1xxResponse = x.informed // without, net/http bounds them
	}
	x.interrupt.begin(req.Context(), &x.trace)
	var err error
	if x.set, err = p.enter(x); err != nil {
		x.interrupt.end()
		return nil, err
	}
	return x, nil
}

// gotConn is told of the connection that net/http, or an http3Transport, has chosen
// for the request, again where it is repeated.
func (x *exchange) gotConn(info httptrace.GotConnInfo) {
	x.connected.Store(true)
	// QUIC delivers the alerts that a lost TCP connection hides.
	x.fresh.Store(!info.Reused && !x.pool.dialer.http3())
	x.scan = nil
	c := trackedUnder(info.Conn)
	if c != nil && c.http2 {
		x.interrupt.carriedBy(nil, 0)
		x.heard.Store(c.silence.heard.Load())
		x.carrier.Store(c)
		// Only a request without body is repeated there.
		switch x.tries++; {
		case x.once && x.tries > 1:
			x.carrier.Store(nil) // nothing is sent on it
			x.interrupt.stop(errEnded)
		case x.tries > sendTries:
			x.interrupt.stop(ErrRefused)
		}
		return
	}
	if c != nil {
		if info.Reused && info.WasIdle {
			c.dropIfClosed()
		}
		x.scan = &c.head
		x.interrupt.carriedBy(x.scan, x.scan.begin(x.inform != nil))
	}
	x.leaveLane()
}

// informed is told of a 1xx answer.
func (x *exchange) informed(status int, header textproto.MIMEHeader) error {
	if x.scan != nil {
		x.scan.restoreInterim(header)
	}
	return x.inform(status, header)
}

// leaveLane is called when the exchange is over, or travels on HTTP/1.1.
func (x *exchange) leaveLane() {
	if x.lane != nil {
		x.flow.end()
		x.answered()
		x.offLane.Do(x.lane.leave)
	}
}

// answered is called when the server has read the body, by its answer, or
// need not any more.
func (x *exchange) answered() {
	if x.lane != nil {
		x.flow.answer()
		x.lane.crowd.leave(x.short.Swap(0))
	}
}

// send makes the round trip. tryTimeout bounds the time to the response header;
// 0 is no bound.
func (x *exchange) send(req *http.Request, tryTimeout time.Duration) (*http.Response, error) {
	var transport http.RoundTripper
	isLong := long(req)
	switch {
	case x.upgrade && x.set.upgrade == nil:
		return refuse(req, fmt.Errorf("an upgrade (WebSocket) needs HTTP/1.1, and protocols of this cluster has only %s", strings.Join(x.pool.dialer.alpn(), ", ")))
	case x.upgrade:
		transport = x.set.upgrade
	case isLong:
		transport = x.set.long.choose(0)
	default:
		x.short.Store(short(req))
		transport = x.set.short.choose(x.short.Load())
	}
	x.lane, _ = transport.(*lane)
	var timer *time.Timer
	if tryTimeout > 0 {
		timer = time.AfterFunc(tryTimeout, func() { x.interrupt.stop(ErrTryTimeout) })
	}
	out := x.outgoing(req)
	if x.lane != nil && isLong {
		x.flow = newFlow(out.Body, &x.lane.crowd)
		out.Body = x.flow
	}
	if !x.pool.dialer.http3() {
		x.boundRepeats(out)
	}
	res, err := transport.RoundTrip(out)
	x.interrupt.answered()
	if timer != nil && !timer.Stop() && err == nil {
		// The timer fired as the header came: the body is lost already.
		res.Body.Close()
		err = ErrTryTimeout
	}
	c := x.carrier.Load()
	if err != nil {
		if c != nil && x.interrupt.why() != nil && x.wasEnded() == nil && x.tries <= sendTries {
			c.question(x.heard.Load())
		}
		x.repeatable, err = repeatable(err)
		x.repeatable = x.repeatable && x.interrupt.why() == nil
		return nil, x.explain(err)
	}
	if c != nil && c.silence.quiet.Load() {
		c.silence.quiet.Store(false)
	}
	x.answered()
	if x.scan != nil {
		x.scan.restore(res)
	}
	x.attach(res)
	return res, nil
}

// outgoing is the request as it goes to the server. The caller's is not
// modified (http.RoundTripper).
func (x *exchange) outgoing(req *http.Request) *http.Request {
	out := req.WithContext(x.interrupt.ctx)
	x.url = *req.URL
	x.url.Scheme, x.url.Host, x.url.User = x.pool.dialer.URL.Scheme, x.pool.dialer.URL.Host, nil
	out.URL = &x.url
	if headers := x.pool.headers.Load(); headers != nil {
		out.Header = req.Header.Clone()
		if out.Header == nil {
			out.Header = http.Header{}
		}
		for _, h := range *headers {
			out.Header[h.Name] = []string{h.Value}
		}
	}
	return out
}

// explain turns an error of the transport into one that says what happened, and
// whether the request was sent.
func (x *exchange) explain(err error) error {
	ended, cause := x.wasEnded(), x.interrupt.why()
	ce, unconnected := errors.AsType[*ConnectError](err)
	switch {
	case unconnected:
		return ce
	case ended != nil:
		err = ended
	case cause != nil && errors.Is(err, context.Canceled) && !errors.Is(cause, context.Canceled):
		// net/http reports some cancellations by the bare word.
		err = cause
	}
	d := x.pool.dialer
	if cause != nil && !x.connected.Load() {
		return d.connectError(fmt.Errorf("gave up before there was a connection: %w", err))
	}
	why := explain(err, d.identity, x.fresh.Load())
	if ended == nil && cause == nil && malformed(err) {
		why = fmt.Errorf("%w: %w", ErrProtocol, why)
	}
	return fmt.Errorf("cluster %s: endpoint %s: %w", d.cluster, d.Endpoint, why)
}

// attach ties the response's body to the exchange.
func (x *exchange) attach(res *http.Response) {
	if rwc, ok := res.Body.(io.ReadWriteCloser); ok && res.StatusCode == http.StatusSwitchingProtocols {
		x.mu.Lock()
		x.conn = rwc
		ended := x.ended
		x.mu.Unlock()
		if ended != nil {
			rwc.Close()
		}
		res.Body = &upgradedBody{body{rwc, x}, rwc}
		return
	}
	if res.Body == http.NoBody {
		x.finish()
		return
	}
	x.body = streamBody{body{res.Body, x}}
	res.Body = &x.body
}

// end stops the exchange from our side; reading the body then fails with cause.
func (x *exchange) end(cause error) {
	x.mu.Lock()
	if x.ended == nil {
		x.ended = cause
	}
	conn := x.conn
	x.mu.Unlock()
	x.interrupt.stop(cause)
	if conn != nil {
		conn.Close()
	}
}

// wasEnded is the cause given to end, if any.
func (x *exchange) wasEnded() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.ended
}

// finish is called when the exchange is over, however it went.
func (x *exchange) finish() {
	x.finished.Do(func() {
		x.interrupt.end()
		x.leaveLane()
		x.set.leave(x)
		x.pool.user.End()
	})
}
