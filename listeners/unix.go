package listeners

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// unixLook is how often the file of a unix socket is looked for.
const unixLook = time.Second

// UnixListener listens on the path of a unix socket. It makes the file
// again where something has removed it: without it no client can connect.
type UnixListener struct {
	path   string
	mode   fs.FileMode
	report func(error) // of what happens to the file; may be nil
	said   string      // to report, last

	once    sync.Once
	stop    chan struct{}
	watched chan struct{} // closed when the watch has ended

	mu      sync.Mutex
	ln      *net.UnixListener // that is accepted from
	next    *net.UnixListener // that has the new file; nil if ln has it
	file    fs.FileInfo       // the present file
	closing bool              // no file is made any more
	closed  bool
}

// ListenUnix binds a path that those may connect to whom mode lets write. A file
// that a dead process left behind is replaced, one that is served is not.
func ListenUnix(path string, mode fs.FileMode, report func(error)) (*UnixListener, error) {
	u := &UnixListener{path: path, mode: mode, report: report, stop: make(chan struct{}), watched: make(chan struct{})}
	ln, file, err := bindUnix(path, mode)
	if errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.EADDRINUSE) {
		if err := removeStale(path); err != nil {
			return nil, err
		}
		ln, file, err = bindUnix(path, mode)
	}
	if err != nil {
		return nil, err
	}
	u.ln, u.file = ln, file
	go u.watch()
	return u, nil
}

// bindUnix binds a path at which there is nothing. The socket is made in a
// private folder beside, and moved into place with its mode already set: at no
// time can another user connect.
func bindUnix(path string, mode fs.FileMode) (*net.UnixListener, fs.FileInfo, error) {
	dir, err := os.MkdirTemp(filepath.Dir(path), ".s")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir)
	at := filepath.Join(dir, "s")
	if len(at) > maxUnixPath {
		at = path
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: at})
	if err != nil {
		return nil, nil, err
	}
	ln.SetUnlinkOnClose(false) // by then the path may be another's
	err = os.Chmod(at, mode)
	if err == nil && at != path {
		err = moveInto(at, path)
	}
	var file fs.FileInfo
	if err == nil {
		file, err = os.Lstat(path)
	}
	if err != nil {
		_ = ln.Close()
		return nil, nil, err
	}
	return ln, file, nil
}

// moveInto moves a file to a path at which there is nothing. A file system
// without links has to do with a rename, which replaces what comes meanwhile.
func moveInto(from, to string) error {
	err := os.Link(from, to)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, err := os.Lstat(to); err == nil {
		return fs.ErrExist
	}
	return os.Rename(from, to)
}

// removeStale removes the socket of a process that is gone.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("the path exists, and is no socket")
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		conn.Close()
		return fmt.Errorf("the socket is in use: another process answers on %s", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("the socket exists, and whether it is in use cannot be told: %w", err)
	}
	return os.Remove(path)
}

func (u *UnixListener) watch() {
	defer close(u.watched)
	ticker := time.NewTicker(unixLook)
	defer ticker.Stop()
	for {
		select {
		case <-u.stop:
			return
		case <-ticker.C:
			if message := u.restore(); message != u.said {
				u.said = message
				if message != "" && u.report != nil {
					u.report(errors.New(message))
				}
			}
		}
	}
}

// restore makes the file again if it is gone, and says so; "" if it is there.
func (u *UnixListener) restore() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closing || u.next != nil {
		return ""
	}
	switch file, err := os.Lstat(u.path); {
	case err == nil && os.SameFile(file, u.file):
		return ""
	case err == nil:
		return "another file has taken the socket's place, and clients no longer reach this one; remove it, and the socket's is made again"
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("looking for the socket's file failed: %v", err)
	}
	ln, file, err := bindUnix(u.path, u.mode)
	if err != nil {
		return fmt.Sprintf("the socket's file is gone, and making it again failed: %v", err)
	}
	u.next, u.file = ln, file
	// Who has connected to the old file is accepted first.
	_ = u.ln.SetDeadline(time.Now().Add(backlogQuiet))
	return "the socket's file was gone, and was made again"
}

// Accept makes UnixListener a net.Listener.
func (u *UnixListener) Accept() (net.Conn, error) {
	for {
		u.mu.Lock()
		ln := u.ln
		u.mu.Unlock()
		conn, err := ln.Accept()
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) || !u.succeed() {
			return conn, err
		}
	}
}

// succeed goes on with the listener of the new file, if there is one.
func (u *UnixListener) succeed() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.next == nil {
		return false
	}
	_ = u.ln.Close()
	u.ln, u.next = u.next, nil
	return true
}

// SetDeadline ends Accept. The file is not made again after it.
func (u *UnixListener) SetDeadline(t time.Time) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closing = true
	if u.next != nil {
		_ = u.next.SetDeadline(t)
	}
	return u.ln.SetDeadline(t)
}

// Addr is the path.
func (u *UnixListener) Addr() net.Addr { return &net.UnixAddr{Net: "unix", Name: u.path} }

// Close removes the file, unless another has taken its place.
func (u *UnixListener) Close() error {
	u.once.Do(func() { close(u.stop) })
	<-u.watched
	u.mu.Lock()
	defer u.mu.Unlock()
	if file, err := os.Lstat(u.path); err == nil && os.SameFile(file, u.file) && !u.closed {
		_ = os.Remove(u.path)
	}
	u.closing, u.closed = true, true
	if u.next != nil {
		_ = u.next.Close()
	}
	return u.ln.Close()
}
