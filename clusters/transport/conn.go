package transport

import (
	cryptotls "crypto/tls"
	"io"
	"net"
	"net/http"
	"syscall"
)

// trackedConn is a connection that its connection set can close.
type trackedConn struct {
	net.Conn
	set     *connectionSet
	secure  bool // TLS is above it
	http2   bool // set before net/http has the connection
	silence silence
	head    headScan
	check   closedCheck
}

func newTrackedConn(c net.Conn, cs *connectionSet, secure bool) *trackedConn {
	t := &trackedConn{Conn: c, set: cs, secure: secure}
	t.check.secure = secure
	if s, ok := c.(syscall.Conn); ok {
		t.check.raw, _ = s.SyscallConn()
	}
	t.check.look = t.check.peek
	return t
}

// trackedUnder returns the connection of a connection set that is c, or under c, and
// nil where there is none.
func trackedUnder(c net.Conn) *trackedConn {
	switch c := c.(type) {
	case *trackedConn:
		return c
	case *secureConn:
		return c.tracked
	case *cryptotls.Conn:
		t, _ := c.NetConn().(*trackedConn)
		return t
	}
	return nil
}

// CloseWrite half-closes the connection where it can be: an upgraded one may
// go on in the other direction.
func (c *trackedConn) CloseWrite() error { return closeWrite(c.Conn) }

func closeWrite(conn io.Writer) error {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return http.ErrNotSupported
}

func (c *trackedConn) Close() error {
	c.set.forget(c)
	return c.Conn.Close()
}

func (c *trackedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	switch {
	case n <= 0:
	case c.http2:
		c.silence.heard.Add(int64(n))
	case !c.secure && !c.head.see(p[:n]):
		return 0, net.ErrClosed
	}
	return n, err
}

// secureConn is a TLS connection that speaks HTTP/1.1.
type secureConn struct {
	*cryptotls.Conn
	tracked *trackedConn // under it
}

func (c *secureConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.tracked.head.see(p[:n]) {
		return 0, net.ErrClosed
	}
	return n, err
}
