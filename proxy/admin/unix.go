package admin

import (
	"net"
	"os"
	"path/filepath"
	"sync"
)

// unixListener removes its file when it closes, once: by the second time the
// path may be another's.
type unixListener struct {
	*net.UnixListener
	path string
	once sync.Once
}

// listenUnix binds a socket that only this user may open. It is made in a
// private folder beside, and moved into place with its mode already set: at no
// time can another user connect.
func listenUnix(path string) (net.Listener, error) {
	dir, err := os.MkdirTemp(filepath.Dir(path), ".admin-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	hidden := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: hidden, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // it knows the hidden name only
	err = os.Chmod(hidden, 0o600)
	if err == nil {
		err = os.Rename(hidden, path)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return &unixListener{UnixListener: l, path: path}, nil
}

func (l *unixListener) Close() error {
	l.once.Do(func() { os.Remove(l.path) })
	return l.UnixListener.Close()
}
