package listeners

import (
	"net"

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
