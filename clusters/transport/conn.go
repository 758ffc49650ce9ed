package transport

import (
	"net"
	"net/http"
)

// trackedConn is a connection that its connection set can close.
type trackedConn struct {
	net.Conn
	set     *connectionSet
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
