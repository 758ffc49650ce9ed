package transport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quic-go/quic-go/http3"
	"golang.org/x/net/http/httpguts"
)

// unusableWords begin the error, which http3 does not export, of a request for
// which no stream could be opened, so that nothing of it was sent: the
// connection has ended, or the server is shutting down.
const unusableWords = "http3: conn unusable: "

// http3Transport makes the round trips of a connection set over QUIC. http3.Transport
// has connections of its own as well, but counts requests as done when the
// response header is there, and forgets connections without closing them.
type http3Transport struct {
	set  *connectionSet
	h3   http3.Transport // makes clients of connections, and nothing else
	idle time.Duration   // 0: connections stay

	mu      sync.Mutex
	conns   []*http3Conn
	dialing *http3Dial // nil when none is under way
}

// http3Dial is a dial for all requests that wait for a connection.
type http3Dial struct {
	done chan struct{}
	conn *http3Conn
	err  error
}

func newHTTP3Transport(cs *connectionSet) *http3Transport {
	t := &http3Transport{set: cs, idle: cs.pool.dialer.settings.IdleTimeout}
	t.h3.DisableCompression = true // bodies pass as they are
	t.h3.MaxResponseHeaderBytes = maxResponseHeader
	return t
}

// RoundTrip implements http.RoundTripper. A request that the server has
// certainly not looked at is repeated, on another connection.
func (t *http3Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := checkHTTP3(req); err != nil {
		return refuse(req, err)
	}
	for try, firsts := 1, 0; ; try++ {
		c, fresh, err := t.acquire(req.Context(), short(req))
		if err != nil {
			return refuse(req, err)
		}
		if trace := httptrace.ContextClientTrace(req.Context()); trace != nil && trace.GotConn != nil {
			trace.GotConn(httptrace.GotConnInfo{Reused: !fresh})
		}
		res, sent, err := t.send(c, req)
		c.crowd.leave(short(req))
		if err == nil {
			return res, nil
		}
		refused := refusedQUIC(err)
		if !refused && !rejected(err) && !unsent(err, sent.header) {
			return refuse(req, err)
		}
		t.drain(c)
		if sent.body && req.GetBody == nil {
			return refuse(req, err)
		}
		// A server that shuts down, or many behind one address, may let in one
		// connection too many: one that fails its first request is no verdict yet.
		if fresh {
			firsts++
		}
		if refused || firsts == 2 || try == sendTries {
			return refuse(req, t.turnedAway(err))
		}
		if sent.body {
			again, bodyErr := Repeat(req)
			if bodyErr != nil {
				return refuse(req, err)
			}
			req = again
		}
	}
}

// progress is how far a request got that failed.
type progress struct {
	header bool // all of it is on its way
	body   bool // some of it has been read
}

// send makes the round trip on c, which it gives back when it is over.
func (t *http3Transport) send(c *http3Conn, req *http.Request) (res *http.Response, sent progress, err error) {
	var q *question
	trace := &httptrace.ClientTrace{WroteHeaders: func() { sent.header = true }} // within RoundTrip
	if httpguts.HeaderValuesContainsToken(req.Header["Expect"], "100-continue") {
		q = &question{wanted: make(chan struct{}), answered: make(chan struct{})}
		trace.Got100Continue = sync.OnceFunc(func() { close(q.wanted) })
	}
	ctx, cancel := context.WithCancel(httptrace.WithClientTrace(req.Context(), trace))
	var f *flow
	over := sync.OnceFunc(func() {
		f.end()
		cancel()
		t.release(c)
	})
	out := req.WithContext(ctx)
	out.Method = cmp.Or(req.Method, http.MethodGet)
	var up *upload
	if req.Body != nil && req.Body != http.NoBody {
		body := req.Body
		if long(req) {
			f = newFlow(body, &c.crowd)
			body = f
		}
		up = &upload{body: body, question: q}
		out.Body = up
	}
	if q != nil {
		q.ctx = ctx
		defer close(q.answered)
	}
	if res, err = c.client.RoundTrip(out); err != nil {
		over()
		sent.body = up.stop()
		return nil, sent, err
	}
	f.answer()
	res.Request = req
	res.Body = &http3Body{res.Body, ctx, over}
	return res, sent, nil
}

// turnedAway is the error of a request that the server has not looked at.
func (t *http3Transport) turnedAway(err error) error {
	d := t.set.pool.dialer
	if rejected(err) {
		err = fmt.Errorf("the server has turned the request away unread: %w", err)
	}
	return d.connectError(explain(explainSilence(err), d.identity, false))
}

// rejected reports whether the server says that it did not look at the request
// (RFC 9114, section 4.1.1).
func rejected(err error) bool {
	e, ok := errors.AsType[*http3.Error](err)
	return ok && e.Remote && e.ErrorCode == http3.ErrCodeRequestRejected
}

// unsent reports whether nothing was sent that a server could take for the
// request. http3 looks whether there was GOAWAY before it counts a request, and
// on GOAWAY whether there is a request; where each misses the other, it closes
// the connection under a request that it is about to send. We close none while
// there is a request on it, without having ended the request first.
func unsent(err error, header bool) bool {
	if strings.HasPrefix(err.Error(), unusableWords) {
		return true
	}
	e, ok := errors.AsType[*http3.Error](err)
	return ok && !header && !e.Remote && e.ErrorCode == http3.ErrCodeNoError
}

// acquire counts a request onto a connection, dialled if need be, and its short
// body of so many bytes onto the connection's crowd. fresh says that it is the
// first.
func (t *http3Transport) acquire(ctx context.Context, short int64) (c *http3Conn, fresh bool, err error) {
	for {
		t.mu.Lock()
		if c := t.pick(short); c != nil {
			fresh := c.take()
			t.mu.Unlock()
			return c, fresh, nil
		}
		d := t.dialing
		if d == nil {
			d = &http3Dial{done: make(chan struct{})}
			t.dialing = d
			// The others wait for it too, so it goes on when this one leaves.
			go t.dial(d)
		}
		t.mu.Unlock()
		select {
		case <-d.done:
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
		if d.err != nil {
			return nil, false, d.err
		}
		t.mu.Lock()
		// Even when it has ended already: the request then fails for that reason, and does
		// not dial again and again.
		if d.conn.active < maxStreams && !d.conn.draining && d.conn.crowd.join(short) {
			fresh := d.conn.take()
			t.mu.Unlock()
			return d.conn, fresh, nil
		}
		t.mu.Unlock()
	}
}

// pick chooses the first good connection with room, so that the others can
// become idle, and counts the short body onto its crowd. Called with mu held.
func (t *http3Transport) pick(short int64) *http3Conn {
	now := time.Now()
	t.conns = slices.DeleteFunc(t.conns, func(c *http3Conn) bool {
		if !c.draining && c.hushed(now) {
			c.draining = true // what is on it may still be answered
			t.rest(c)
		}
		return c.draining || c.quic.Context().Err() != nil
	})
	for _, c := range t.conns {
		if c.active < maxStreams && c.crowd.stuck.Load() == 0 && c.crowd.join(short) {
			return c
		}
	}
	return nil
}

func (t *http3Transport) dial(d *http3Dial) {
	defer close(d.done)
	q, err := t.set.dialQUIC()
	var c *http3Conn
	if err == nil {
		c = &http3Conn{quic: q, client: t.h3.NewClientConn(q.Conn)}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dialing = nil
	if d.conn, d.err = c, err; err == nil {
		t.conns = append(t.conns, c)
		t.rest(c) // all requests that waited may have ended
	}
}

// release is called when a request is over.
func (t *http3Transport) release(c *http3Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.active--
	t.rest(c)
}

// rest closes a connection that carries nothing: now, or later unless there is
// a request. Called with mu held.
func (t *http3Transport) rest(c *http3Conn) {
	switch {
	case c.active > 0:
	case c.draining:
		go c.quic.Close()
	case t.idle > 0 && c.timer == nil:
		c.timer = time.AfterFunc(t.idle, func() { t.drain(c) })
	case t.idle > 0:
		c.timer.Reset(t.idle)
	}
}

// drain gives c no more requests, and closes it after the last.
func (t *http3Transport) drain(c *http3Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.draining = true
	t.rest(c)
}

// CloseIdleConnections closes the connections that carry nothing.
func (t *http3Transport) CloseIdleConnections() {
	t.mu.Lock()
	idle := slices.DeleteFunc(slices.Clone(t.conns), func(c *http3Conn) bool { return c.active > 0 })
	for _, c := range idle {
		c.draining = true
	}
	t.mu.Unlock()
	for _, c := range idle {
		c.quic.Close()
	}
}
