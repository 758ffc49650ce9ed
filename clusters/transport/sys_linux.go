package transport

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// userTimeout bounds how long sent bytes may stay unacknowledged. Keep-alive
// does not look at connections that wait for an acknowledgement, and HTTP/2
// pings of our own would be taken for abuse by gRPC servers ("too_many_pings").
const userTimeout = 30 * time.Second

func socketOptions(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		// A kernel that refuses it only detects dead peers later.
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(userTimeout.Milliseconds()))
	})
}

// peerClosed reports whether the peer of a socket has closed its side, even if what it
// has sent before is unread.
func peerClosed(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0
}
