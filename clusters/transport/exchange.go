package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// exchange is one request on its way through a pool, from before its
// connection is chosen until its response body is closed.
type exchange struct {
	pool    *Pool
	set     *connectionSet
	ctx     context.Context
	cancel  context.CancelCauseFunc
	upgrade bool
	// wire is what net/http sees of ctx, and interrupt ends it: see interruption.
	wire      context.Context
	interrupt *interruption // nil: wire is ctx
	// connected says that a connection was chosen for the request; until then
	// nothing of it was sent.
	connected atomic.Bool
	// fresh says that nothing was sent on that connection before.
	fresh atomic.Bool
	// carrier is the connection, if that speaks HTTP/2, and heard what had come
	// on it when the request got it.
	carrier atomic.Pointer[trackedConn]
	heard   atomic.Int64
	head    *headScan // of an HTTP/1.1 connection
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
	conn  io.Closer // the upgraded connection, which ctx does not reach
}

// begin makes the exchange of a request, which the user of the pool has counted.
func (p *Pool) begin(req *http.Request) (*exchange, error) {
	x := &exchange{pool: p, upgrade: isUpgrade(req)}
	x.ctx, x.cancel = context.WithCancelCause(req.Context())
	trace := &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			x.connected.Store(true)
			// QUIC delivers the alerts that a lost TCP connection hides.
			x.fresh.Store(!info.Reused && !p.dialer.http3())
			if info.Reused && info.WasIdle && x.set.http1 {
				dropIfClosed(info.Conn)
			}
			if x.head = headOf(info.Conn); x.head != nil {
				x.interrupt.carriedBy(x.head, x.head.begin(x.inform != nil))
			}
			c := overHTTP2(info.Conn)
			if c == nil {
				x.leaveLane()
			} else {
				x.heard.Store(c.silence.heard.Load())
				x.carrier.Store(c)
				// Only a request without body is repeated there.
				switch x.tries++; {
				case x.once && x.tries > 1:
					x.carrier.Store(nil) // nothing is sent on it
					x.stop(errEnded)
				case x.tries > sendTries:
					x.stop(ErrRefused)
				}
			}
		},
	}
	if long(req) {
		// x.flow is nil where there are no lanes, and set before the round trip.
		trace.WroteRequest = func(httptrace.WroteRequestInfo) {
			if x.flow != nil {
				x.flow.sent()
			}
		}
	}
	if x.inform, _ = req.Context().Value(interimKey{}).(func(int, textproto.MIMEHeader) error); x.inform != nil {
		trace.Got1xxResponse = x.informed // without, net/http bounds them
	}
	x.wire = x.ctx
	if p.dialer.http1() && (x.upgrade || !p.http2.Load()) {
		x.interrupt = newInterruption(x)
		x.wire = x.interrupt.ctx
	}
	x.wire = httptrace.WithClientTrace(x.wire, trace)
	var err error
	if x.set, err = p.enter(x); err != nil {
		x.interrupt.end()
		x.cancel(nil)
		return nil, err
	}
	return x, nil
}

// informed is told of a 1xx answer.
func (x *exchange) informed(status int, header textproto.MIMEHeader) error {
	if x.head != nil {
		x.head.restoreInterim(header)
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
	transport, isLong := http.RoundTripper(x.set.main), long(req)
	switch {
	case x.set.lanes != nil && !x.upgrade:
		if isLong {
			x.lane = x.set.longLanes.take(0)
		} else {
			x.short.Store(short(req))
			x.lane = x.set.lanes.take(x.short.Load())
		}
		transport = x.lane
	case isLong && !x.upgrade:
		transport = x.set.longMain
	case x.upgrade:
		if transport = x.set.upgrade; x.set.upgrade == nil {
			if req.Body != nil {
				req.Body.Close()
			}
			return nil, fmt.Errorf("an upgrade (WebSocket) needs HTTP/1.1, and protocols of this cluster has only %s", strings.Join(x.pool.dialer.alpn(), ", "))
		}
	}
	var timer *time.Timer
	if tryTimeout > 0 {
		timer = time.AfterFunc(tryTimeout, func() { x.stop(ErrTryTimeout) })
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
		if c != nil && x.ctx.Err() != nil && x.wasEnded() == nil && x.tries <= sendTries {
			c.question(x.heard.Load())
		}
		x.repeatable, err = repeatable(err)
		x.repeatable = x.repeatable && x.ctx.Err() == nil
		return nil, x.explain(err)
	}
	if c != nil && c.silence.quiet.Load() {
		c.silence.quiet.Store(false)
	}
	x.answered()
	if x.head != nil {
		x.head.restore(res)
	}
	x.attach(res)
	return res, nil
}

// outgoing is the request as it goes to the server. The caller's is not
// modified (http.RoundTripper).
func (x *exchange) outgoing(req *http.Request) *http.Request {
	out := req.WithContext(x.wire)
	u := *req.URL
	u.Scheme, u.Host, u.User = x.pool.dialer.URL.Scheme, x.pool.dialer.URL.Host, nil
	out.URL = &u
	if headers := *x.pool.headers.Load(); len(headers) > 0 {
		out.Header = req.Header.Clone()
		if out.Header == nil {
			out.Header = http.Header{}
		}
		for _, h := range headers {
			out.Header[h.Name] = []string{h.Value}
		}
	}
	return out
}

// explain turns an error of the transport into one that says what happened, and
// whether the request was sent.
func (x *exchange) explain(err error) error {
	ended, cause := x.wasEnded(), context.Cause(x.ctx)
	switch ce := (*ConnectError)(nil); {
	case errors.As(err, &ce):
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
	res.Body = &streamBody{body{res.Body, x}}
}

// end stops the exchange from our side; reading the body then fails with cause.
func (x *exchange) end(cause error) {
	x.mu.Lock()
	if x.ended == nil {
		x.ended = cause
	}
	conn := x.conn
	x.mu.Unlock()
	x.stop(cause)
	if conn != nil {
		conn.Close()
	}
}

// stop cancels the exchange. net/http knows of it when stop returns.
func (x *exchange) stop(cause error) {
	x.cancel(cause)
	x.interrupt.now()
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
		x.cancel(nil)
		x.leaveLane()
		x.set.leave(x)
		x.pool.done()
	})
}
