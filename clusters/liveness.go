package clusters

import (
	"errors"
	"net"
	"syscall"

	cryptotls "crypto/tls"

	"golang.org/x/sys/unix"
)

// dropIfClosed closes an idle HTTP/1.1 connection, which is about to carry a
// request, if the server has closed its side already: net/http then takes
// another one, since nothing was written. Without the look, a request could be
// written in the moment before the end is noticed, and nobody could say
// whether the server had acted on it. HTTP/2 says so itself (RFC 9113, section
// 6.8).
func dropIfClosed(c net.Conn) {
	if t, ok := c.(*secureConn); ok {
		c = t.NetConn()
	}
	if t, ok := c.(*cryptotls.Conn); ok {
		if t.ConnectionState().NegotiatedProtocol == "h2" {
			return
		}
		c = t.NetConn()
	}
	if t, ok := c.(*trackedConn); ok {
		c = t.Conn
	}
	s, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return
	}
	quiet := false
	// Control and not Read: that would wait for the one who waits for bytes.
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		// Anything but silence is the end, a TLS alert that announces it, or an
		// answer that nobody has asked for.
		quiet = errors.Is(err, unix.EAGAIN)
	})
	if err == nil && !quiet {
		_ = c.Close()
	}
}
