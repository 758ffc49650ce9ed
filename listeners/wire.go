package listeners

import (
	cryptotls "crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// minWriteRate, in bytes a second, is what a client is expected to take of one
// large write beyond the idle timeout.
const minWriteRate = 16 << 10

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// wire is what the protocol servers read and write: the socket, or TLS over it.
type wire struct {
	net.Conn
	conn *Conn

	prefix []byte // read while the protocol was found out
	// timedOut is set while the last read failed for want of time; a new
	// deadline clears it.
	timedOut atomic.Bool
	// heard is set once something of the next request has come.
	heard atomic.Bool
	// bounded is set while net/http reads the rest of a body under a deadline
	// of ours (see response.boundBody).
	bounded atomic.Bool
	// writeBy is the deadline that a handler set, in Unix nanoseconds; 0 is
	// none.
	writeBy atomic.Int64
}

// tlsWire tells the protocol servers that TLS was spoken.
type tlsWire struct{ *wire }

// ConnectionState is what net/http and http2 look for.
func (w tlsWire) ConnectionState() cryptotls.ConnectionState { return *w.conn.state.Load() }

// outer is the wire as the protocol servers get it.
func (w *wire) outer() net.Conn {
	if w.conn.state.Load() != nil {
		return tlsWire{w}
	}
	return w
}

// wireOf undoes outer.
func wireOf(nc net.Conn) *wire {
	if w, ok := nc.(tlsWire); ok {
		return w.wire
	}
	return nc.(*wire)
}

func (w *wire) Read(p []byte) (int, error) {
	if len(w.prefix) > 0 {
		n := copy(p, w.prefix)
		w.prefix = w.prefix[n:]
		return n, nil
	}
	if len(p) == 1 {
		// This is net/http watching for the client to go away, which it does
		// once the body has been read; everything else is read in blocks.
		if w.bounded.CompareAndSwap(true, false) {
			w.SetReadDeadline(time.Time{})
		}
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

// Write gives up on a client that takes nothing for the idle timeout: there is
// no other bound on a stream's length, and a client that stops reading would
// hold its handler for ever.
func (w *wire) Write(p []byte) (int, error) {
	patience := w.conn.server.config.Limits.IdleTimeout + time.Duration(len(p))*time.Second/minWriteRate
	deadline := time.Now().Add(patience)
	if by := w.writeBy.Load(); by != 0 && by < deadline.UnixNano() {
		deadline = time.Unix(0, by)
	}
	if err := w.Conn.SetWriteDeadline(deadline); err != nil {
		return 0, err
	}
	return w.Conn.Write(p)
}

// bound limits the time that net/http has for the rest of a body.
func (w *wire) bound(d time.Duration) {
	w.SetReadDeadline(time.Now().Add(d))
	w.bounded.Store(true)
}

func (w *wire) SetReadDeadline(t time.Time) error {
	w.timedOut.Store(false)
	return w.conn.setReadDeadline(t)
}

func (w *wire) SetWriteDeadline(t time.Time) error {
	w.writeBy.Store(0)
	if !t.IsZero() {
		w.writeBy.Store(t.UnixNano())
	}
	return w.Conn.SetWriteDeadline(t)
}

func (w *wire) SetDeadline(t time.Time) error {
	return errors.Join(w.SetReadDeadline(t), w.SetWriteDeadline(t))
}

// CloseWrite lets net/http end its answer before it hangs up on a client that
// is still sending.
func (w *wire) CloseWrite() error {
	if half, ok := w.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close also ends what we know of a hijacked connection; the others end with
// the server that serves them. Of a header that took too long net/http says
// nothing, so that is done here.
func (w *wire) Close() error {
	w.conn.mu.Lock()
	phase := w.conn.phase
	w.conn.mu.Unlock()
	if phase == phaseIdle && w.timedOut.Load() && w.heard.Load() {
		w.answerTimeout()
	}
	err := w.Conn.Close()
	if phase == phaseHijacked {
		w.conn.server.remove(w.conn)
	}
	return err
}

// answerTimeout is the 408 of RFC 9110 section 15.5.9.
func (w *wire) answerTimeout() {
	const body = `{"error":{"code":"request_timeout","message":"the request's header did not come in time"}}` + "\n"
	fmt.Fprintf(w, "HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body)
}
