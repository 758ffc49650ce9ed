package listeners

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// readBuffer is the size of a socket's receive buffer in bytes. The kernel
// doubles what it is asked for, to keep its own books there.
func readBuffer(conn *net.UDPConn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	size, sockErr := 0, error(nil)
	err = raw.Control(func(fd uintptr) {
		size, sockErr = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF)
	})
	if err == nil {
		err = sockErr
	}
	return size / 2, err
}

// hungUp reports whether the peer of a socket has closed its side, even if what it
// has sent before is unread, or the socket is closed.
func hungUp(conn net.Conn) (closed bool) {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := c.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) {
			fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
			n, err := unix.Poll(fds, 0)
			closed = err == nil && n > 0
		})
	}
	return closed || err != nil
}
