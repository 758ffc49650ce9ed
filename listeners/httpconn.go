package listeners

import (
	cryptotls "crypto/tls"
	"errors"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// preface begins every HTTP/2 connection (RFC 9113 section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// httpConn is what net/http reads and writes: the socket, or TLS over it.
type httpConn struct {
	net.Conn
	conn *Conn

	prefix  []byte   // was read, and is to be read again
	framing *framing // nil but for HTTP/1.1
	// timedOut is set while the last read failed for want of time; a new
	// deadline clears it.
	timedOut atomic.Bool
	// heard is set once something of the next request has come.
	heard atomic.Bool
	// bounded is set while net/http reads the rest of a body under a deadline
	// of ours (see response.boundBody).
	bounded atomic.Bool
}

// httpsConn tells net/http that TLS was spoken.
type httpsConn struct{ *httpConn }

// ConnectionState is what net/http looks for.
func (w httpsConn) ConnectionState() cryptotls.ConnectionState { return *w.conn.state.Load() }

// outer is the connection as net/http gets it.
func (w *httpConn) outer() net.Conn {
	if w.conn.state.Load() != nil {
		return httpsConn{w}
	}
	return w
}

// httpConnOf returns the httpConn of a connection that net/http has: outer's, or the
// bare TLS one, by which alone it recognises HTTP/2.
func httpConnOf(nc net.Conn) *httpConn {
	switch nc := nc.(type) {
	case httpsConn:
		return nc.httpConn
	case *cryptotls.Conn:
		return nc.NetConn().(*slowPeer).conn.httpConn
	}
	return nc.(*httpConn)
}

// readPreface waits for the first bytes, and reports whether they are the
// preface of HTTP/2, if that may be. What it read is read again.
func (w *httpConn) readPreface(maybeHTTP2 bool) (isHTTP2 bool, err error) {
	limits := &w.conn.server.config.Limits
	_ = w.SetReadDeadline(time.Now().Add(limits.IdleTimeout))
	buf := make([]byte, 0, len(preface))
	for {
		n, err := w.Read(buf[len(buf):cap(buf)])
		if n == 0 && err != nil {
			return false, err
		}
		if len(buf) == 0 {
			_ = w.SetReadDeadline(time.Now().Add(limits.HeaderTimeout))
		}
		buf = buf[:len(buf)+n]
		maybeHTTP2 = maybeHTTP2 && strings.HasPrefix(preface, string(buf))
		if !maybeHTTP2 || len(buf) == cap(buf) {
			w.prefix = buf
			return maybeHTTP2, nil
		}
	}
}

func (w *httpConn) Read(p []byte) (int, error) {
	// This is net/http watching for the client to go away, which it does once
	// the body has been read; everything else is read in blocks. The byte that
	// may come belongs to the next request.
	watching := len(p) == 1
	if watching && w.bounded.CompareAndSwap(true, false) {
		_ = w.SetReadDeadline(time.Time{})
	}
	for f := w.framing; f != nil; {
		if f.failure != nil {
			return w.refuse(p, watching)
		}
		n, err := w.read(p)
		if n = f.pass(p[:n]); n > 0 || err != nil && f.failure == nil {
			return n, err
		}
	}
	return w.read(p)
}

func (w *httpConn) read(p []byte) (int, error) {
	if len(w.prefix) > 0 {
		n := copy(p, w.prefix)
		w.prefix = w.prefix[n:]
		return n, nil
	}
	n, err := w.Conn.Read(p)
	if n > 0 && !w.heard.Load() {
		w.heard.Store(true)
	}
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		w.timedOut.Store(true)
	}
	return n, err
}

// bound limits the time that net/http has for the rest of a body.
func (w *httpConn) bound(d time.Duration) {
	_ = w.SetReadDeadline(time.Now().Add(d))
	w.bounded.Store(true)
}

// SetReadDeadline is subject to the connection's retirement.
func (w *httpConn) SetReadDeadline(t time.Time) error {
	w.timedOut.Store(false)
	return w.conn.setReadDeadline(t)
}

// SetDeadline is what a hijacker calls.
func (w *httpConn) SetDeadline(t time.Time) error {
	return errors.Join(w.SetReadDeadline(t), w.SetWriteDeadline(t))
}

// CloseWrite lets net/http end its answer before it hangs up.
func (w *httpConn) CloseWrite() error { return closeWrite(w.Conn) }

// Write drops what net/http says of a header that took too long: it takes the
// part of a request line that has come for a malformed one.
func (w *httpConn) Write(p []byte) (int, error) {
	if w.late() {
		return len(p), nil
	}
	return w.Conn.Write(p)
}

// late reports whether a header began and did not end in time.
func (w *httpConn) late() bool {
	return w.timedOut.Load() && w.heard.Load() && w.conn.is(phaseIdle)
}

// Close also ends what we know of a hijacked connection; the others end with
// the server that serves them. Of a header that took too long net/http says
// nothing, or nothing right, so that is done here.
func (w *httpConn) Close() error {
	if w.late() {
		_ = refuseRaw(w.Conn, refusedTimeout) // RFC 9110 section 15.5.9; the connection closes either way
	}
	hijacked := w.conn.is(phaseHijacked)
	err := w.Conn.Close()
	if hijacked {
		w.conn.server.remove(w.conn)
	}
	return err
}
