package listeners

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The process that serves a socket is busy: connect(2) fails, though it lives.
func TestUnixSocketThatDoesNotTakeAConnectionIsNotReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	busy, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(busy)
	if err := errors.Join(unix.Bind(busy, &unix.SockaddrUnix{Name: path}), unix.Listen(busy, 0)); err != nil {
		t.Fatal(err)
	}
	for full := false; !full; {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		full = errors.Is(unix.Connect(fd, &unix.SockaddrUnix{Name: path}), syscall.EAGAIN)
	}
	if u, err := ListenUnix(path, 0o600, nil); err == nil {
		u.Close()
		t.Error("the socket of a busy process was replaced")
	} else if !strings.Contains(err.Error(), "whether it is in use cannot be told") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}
