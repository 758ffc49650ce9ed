//go:build !linux

package listeners

import (
	"errors"
	"net"
)

func readBuffer(*net.UDPConn) (int, error) { return 0, errors.ErrUnsupported }

// hungUp cannot be told here.
func hungUp(net.Conn) bool { return false }
