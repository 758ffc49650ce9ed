package transport

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// closedCheck finds out whether the server has closed its side of an idle connection
// of HTTP/1.1. It is there for as long as the connection, so that a look allocates
// nothing.
type closedCheck struct {
	raw    syscall.RawConn  // nil where the connection has no descriptor
	look   func(fd uintptr) // is peek
	secure bool             // TLS is above the connection
	closed bool
}

// dropIfClosed closes an idle HTTP/1.1 connection, which is about to carry a
// request, if the server has closed its side already: net/http then takes
// another one, since nothing was written. Without the look, a request could be
// written in the moment before the end is noticed, and no log could say
// whether the server had acted on it. HTTP/2 says so itself (RFC 9113, section
// 6.8).
func (c *trackedConn) dropIfClosed() {
	k := &c.check
	if k.raw == nil {
		return
	}
	// Control and not Read: Read would wait for the end of the Read that waits for
	// bytes.
	if err := k.raw.Control(k.look); err == nil && k.closed {
		_ = c.Conn.Close()
	}
}

func (k *closedCheck) peek(fd uintptr) {
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0); err == nil && n == 0 {
		return // silence
	}
	var b [longestAlert + 1]byte
	n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	switch {
	case errors.Is(err, unix.EAGAIN): // silence
	case err != nil || n == 0:
		k.closed = true
	case k.secure:
		// It may be the rest of a session ticket of TLS 1.3, which comes after
		// the handshake and can be long, as it holds the client's certificate.
		k.closed = isAlert(b[:n]) || peerClosed(int(fd))
	default:
		k.closed = true // an answer to no request
	}
}

// longestAlert is the length in bytes of the record of an alert: 5 of a header, 2
// of content, and what encryption adds, which is most with CBC and SHA-384 (RFC
// 5246, section 6.2.3.2).
const longestAlert = 5 + 16 + 64

// isAlert reports whether what is left to read is a TLS record that carries an
// alert, such as close_notify. That of TLS 1.3 is encrypted, and shorter than any
// other that a server sends without being asked: 2 bytes, one for its type, and 16
// of a tag (RFC 8446, sections 5.2 and 6).
func isAlert(b []byte) bool {
	const alert, applicationData, encrypted = 21, 23, 2 + 1 + 16
	if len(b) < 5 || len(b) > longestAlert {
		return false
	}
	length := int(b[3])<<8 | int(b[4])
	return len(b) == 5+length && (b[0] == alert || b[0] == applicationData && length <= encrypted)
}
