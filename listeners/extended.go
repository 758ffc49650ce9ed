package listeners

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// protocolHeader is where net/http keeps :protocol of an extended CONNECT (RFC
// 8441 section 4); http3 puts it in the place of the HTTP version (RFC 9220).
const protocolHeader = ":protocol"

// webSocketOf reports whether a request opens a WebSocket on a stream of HTTP/2
// or 3.
func webSocketOf(r *http.Request) bool {
	if r.Method != http.MethodConnect {
		return false
	}
	switch r.ProtoMajor {
	case 2:
		return strings.EqualFold(r.Header.Get(protocolHeader), "websocket")
	case 3:
		return strings.EqualFold(r.Proto, "websocket")
	}
	return false
}

// asUpgrade writes the request for a WebSocket on a stream as one of HTTP/1.1 (RFC
// 6455 section 4), so that handlers know a single form. The key proves nothing here,
// and the answer to it is dropped.
func asUpgrade(r *http.Request) *http.Request {
	up := *r
	up.Method, up.ProtoMajor, up.ProtoMinor = http.MethodGet, 1, 1
	up.Proto = fmt.Sprintf("HTTP/%d.0", r.ProtoMajor)
	up.Header = r.Header.Clone()
	delete(up.Header, protocolHeader)
	var key [16]byte
	rand.Read(key[:]) // never fails: it ends the process instead
	up.Header["Connection"] = []string{"Upgrade"}
	up.Header["Upgrade"] = []string{"websocket"}
	up.Header["Sec-Websocket-Key"] = []string{base64.StdEncoding.EncodeToString(key[:])}
	up.Body, up.ContentLength = http.NoBody, 0
	return &up
}

// streamUpgrade is the ResponseWriter of such a request. The handler that
// takes over "the connection" gets the stream; the 101 becomes a 200.
type streamUpgrade struct {
	*response
	request *http.Request // as it came
	status  int           // 101 was announced before Hijack
	stream  *streamConn   // after Hijack
}

// WriteHeader keeps a 101 for Hijack. On a stream, a status of 2xx opens the
// WebSocket, while over HTTP/1.1 a handler that serves no WebSocket may answer an
// upgrade with 200. So such an answer becomes 501.
func (u *streamUpgrade) WriteHeader(status int) {
	if status == http.StatusSwitchingProtocols {
		u.status = status
		return
	}
	if status >= 200 && status < 300 {
		status = http.StatusNotImplemented // RFC 8441 section 4
	}
	u.response.WriteHeader(status)
}

func (u *streamUpgrade) Write(p []byte) (int, error) {
	u.implicit()
	return u.response.Write(p)
}

// FlushError is what http.ResponseController looks for.
func (u *streamUpgrade) FlushError() error {
	u.implicit()
	return u.response.FlushError()
}

// implicit is the 200 of a handler that names no status.
func (u *streamUpgrade) implicit() {
	if !u.wrote {
		u.WriteHeader(http.StatusOK)
	}
}

// Hijack hands over the stream.
func (u *streamUpgrade) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if u.stream != nil {
		return nil, nil, http.ErrHijacked
	}
	stream := &streamConn{upgrade: u, closed: make(chan struct{})}
	if u.status == http.StatusSwitchingProtocols {
		if err := stream.begin(nil); err != nil {
			return nil, nil, err // the caller has nothing to close
		}
	}
	u.stream = stream
	return u.stream, bufio.NewReadWriter(bufio.NewReader(u.stream), bufio.NewWriter(u.stream)), nil
}

// EnableFullDuplex has nothing to do: a stream goes both ways.
func (u *streamUpgrade) EnableFullDuplex() error { return nil }

// finish is called when the handler has returned.
func (u *streamUpgrade) finish() {
	if u.stream == nil {
		u.implicit()
	}
	u.response.finish()
}

// serve has a handler answer, and returns once the handler that took the stream over has
// closed it: the stream ends with the handler. One that panics has given it up.
func (u *streamUpgrade) serve(handler http.Handler) {
	returned := false
	defer func() {
		if u.stream == nil {
			return
		}
		if !returned {
			u.stream.Close()
		}
		<-u.stream.closed
	}()
	handler.ServeHTTP(u, asUpgrade(u.request))
	returned = true
	u.finish()
}

// streamConn is the stream as a net.Conn.
type streamConn struct {
	upgrade *streamUpgrade
	closed  chan struct{}
	once    sync.Once

	// mu is held while something is written: one that follows Close would
	// follow the handler's end.
	mu    sync.Mutex
	head  []byte // of the 101, as far as it was written
	begun bool
	over  bool
}

// maxUpgradeHead bounds the head of a 101.
const maxUpgradeHead = 256 << 10

// begin answers the request. Headers are those of the 101, nil where they have
// been set already. Called with mu held, or before the conn is shared.
func (c *streamConn) begin(header http.Header) error {
	h := c.upgrade.Header()
	for name, values := range header {
		h[name] = values
	}
	for _, name := range []string{"Connection", "Upgrade", "Sec-Websocket-Accept"} {
		delete(h, name)
	}
	c.begun = true
	c.upgrade.response.WriteHeader(http.StatusOK)
	return c.upgrade.response.FlushError()
}

func (c *streamConn) Read(p []byte) (int, error) { return c.upgrade.request.Body.Read(p) }

func (c *streamConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return 0, net.ErrClosed
	}
	if !c.begun {
		return c.writeHead(p)
	}
	return c.write(p)
}

func (c *streamConn) write(p []byte) (int, error) {
	n, err := c.upgrade.response.Write(p)
	if err == nil {
		err = c.upgrade.response.FlushError()
	}
	return n, err
}

// writeHead takes the 101 that a hijacker writes itself.
func (c *streamConn) writeHead(p []byte) (int, error) {
	c.head = append(c.head, p...)
	end := bytes.Index(c.head, []byte("\r\n\r\n"))
	if end < 0 {
		if len(c.head) > maxUpgradeHead {
			return 0, errors.New("the head of the answer to a WebSocket has no end")
		}
		return len(p), nil
	}
	head, rest := c.head[:end+4], c.head[end+4:]
	c.head = nil
	res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), nil)
	if err != nil {
		return 0, fmt.Errorf("the answer to a WebSocket: %w", err)
	}
	defer res.Body.Close() // a 101 has none
	if err := c.begin(res.Header); err != nil {
		return 0, err
	}
	if len(rest) > 0 {
		if _, err := c.write(rest); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// Close ends the stream: reads and writes in progress fail, and the handler may
// return.
func (c *streamConn) Close() error {
	c.once.Do(func() {
		control := http.NewResponseController(c.upgrade.response)
		_ = control.SetReadDeadline(longAgo)
		_ = control.SetWriteDeadline(time.Now().Add(closeMoment))
		c.mu.Lock()
		c.over = true
		c.mu.Unlock()
		close(c.closed)
	})
	return nil
}

// closeMoment is how long a write in progress may still take when its stream is
// closed: it may be the frame that says why.
const closeMoment = time.Second

func (c *streamConn) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(c.upgrade.conn.local) }
func (c *streamConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.upgrade.conn.remote) }

func (c *streamConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *streamConn) SetReadDeadline(t time.Time) error {
	return http.NewResponseController(c.upgrade.ResponseWriter).SetReadDeadline(t)
}

func (c *streamConn) SetWriteDeadline(t time.Time) error {
	return c.upgrade.response.SetWriteDeadline(t)
}
