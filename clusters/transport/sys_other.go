//go:build !linux

package transport

import "syscall"

func socketOptions(_, _ string, _ syscall.RawConn) error { return nil }

// peerClosed cannot be told here.
func peerClosed(int) bool { return false }
