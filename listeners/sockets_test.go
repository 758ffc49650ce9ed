package listeners

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
)

func TestBindReturnsTheSocketThatIsHeld(t *testing.T) {
	sockets := NewSockets(nil)
	defer sockets.Close()
	first, err := sockets.Bind("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if other, err := sockets.Bind("127.0.0.1:0"); err != nil || other == first {
		t.Errorf("port 0 is not a new port each time: %v", err)
	}
	address := first.Addr().String()
	again, err := sockets.Bind(address)
	if err != nil || again != first {
		t.Errorf("got %p, %v, want %p", again, err, first)
	}
	first.Close()
	after, err := sockets.Bind(address)
	if err != nil || after == first {
		t.Errorf("a closed socket was returned: %v", err)
	}
}

func TestOverlappingAddressIsRefusedInWords(t *testing.T) {
	for _, c := range []struct{ held, wanted string }{
		{"127.0.0.1", "0.0.0.0"},
		{"0.0.0.0", "127.0.0.1"},
		{"127.0.0.1", ""},
		{"0.0.0.0", "[::]"},
	} {
		sockets := NewSockets(nil)
		port := strconv.Itoa(testkit.FreePort(t))
		if _, err := sockets.Bind(c.held + ":" + port); err != nil {
			t.Fatal(err)
		}
		_, err := sockets.Bind(c.wanted + ":" + port)
		if err == nil || !strings.Contains(err.Error(), "overlaps "+c.held+":"+port) {
			t.Errorf("%s beside %s: got %v", c.wanted, c.held, err)
		}
		if _, err := sockets.Bind("127.0.0.2:" + port); (err == nil) != (c.held == "127.0.0.1") {
			t.Errorf("127.0.0.2 beside %s: got %v", c.held, err)
		}
		sockets.Close()
	}
}

func TestAddressInUseIsAnError(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	sockets := NewSockets(nil)
	defer sockets.Close()
	if _, err := sockets.Bind(ln.Addr().String()); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("got %v", err)
	}
}

func TestBadAddressesAreRefused(t *testing.T) {
	for _, s := range []string{"", "8443", "localhost", "127.0.0.1:http", "127.0.0.1:70000", "unix:relative", "unix:/" + strings.Repeat("x", 107), "systemd:web"} {
		if err := checkAddress(s); err == nil {
			t.Errorf("%q was accepted", s)
		}
	}
	for _, s := range []string{":8443", "0.0.0.0:8443", "[::]:0", "localhost:1", "unix:/run/x.sock"} {
		if err := checkAddress(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestUnixSocketServesAndCleansUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	f := newFixture(t, hello, plain, func(cfg *Config) { cfg.Address = "unix:" + path })
	c := f.h1()
	c.get("/")
	c.answer()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := NewSockets(nil).Bind("unix:" + path); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a socket in use was taken: %v", err)
	}
	f.socket.Close()
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}
}

func TestStaleUnixSocketIsReplaced(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: path})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	_ = dead.Close()
	sockets := NewSockets(nil)
	defer sockets.Close()
	if _, err := sockets.Bind("unix:" + path); err != nil {
		t.Error(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sockets.Bind("unix:" + file); err == nil {
		t.Error("a file that is no socket was replaced")
	}
}

// Tools that clean up remove sockets' files, and no client could connect any
// more.
func TestRemovedUnixSocketIsMadeAgain(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "folder", "s")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, hello, plain, func(cfg *Config) { cfg.Address = "unix:" + path })
	before := f.h1()
	before.get("/")
	before.answer()
	for _, remove := range []func() error{
		func() error { return os.Remove(path) },
		func() error { return os.RemoveAll(filepath.Dir(path)) },
	} {
		if err := remove(); err != nil {
			t.Fatal(err)
		}
		_ = os.Mkdir(filepath.Dir(path), 0o700)
		testkit.Eventually(t, "the file is there again", func() bool {
			_, err := os.Stat(path)
			return err == nil
		})
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
			t.Errorf("mode %v, %v", info, err)
		}
		for range 2 {
			c := f.h1()
			c.get("/")
			c.answer()
		}
	}
	before.get("/")
	before.answer()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the socket there is %v, %v", entries, err)
	}
}

// What has taken the place of the file is not ours to remove.
func TestFileInPlaceOfAUnixSocketStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	reports := make(chan error, 1)
	l, err := ListenUnix(path, 0o660, func(err error) { reports <- err })
	if err != nil {
		t.Fatal(err)
	}
	other := path + "2"
	if err := os.WriteFile(other, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	if err := <-reports; !strings.Contains(err.Error(), "another file") {
		t.Error(err)
	}
	_ = l.Close()
	_ = l.Close()
	if b, err := os.ReadFile(path); err != nil || string(b) != "precious" {
		t.Errorf("got %q, %v", b, err)
	}
}

// The path may be as long as the kernel allows, without room for a folder.
func TestUnixSocketOfALongPath(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, strings.Repeat("x", maxUnixPath-len(dir)-1))
	l, err := ListenUnix(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info, err)
	}
	_ = l.Close()
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}
}

func TestClosedSocketIsAcceptedEmpty(t *testing.T) {
	f := newFixture(t, hello, plain)
	// Connections that the kernel has accepted before Close, and no one else has.
	conns := make([]*h1, 20)
	for i := range conns {
		conns[i] = f.h1()
	}
	f.socket.Close()
	for _, c := range conns {
		c.get("/")
		c.answer()
	}
	if conn, err := net.Dial("tcp", f.socket.Addr().String()); err == nil {
		conn.Close()
		t.Error("the address still answers")
	}
}

func TestSocketAcceptsNothingBeforeItIsServed(t *testing.T) {
	sockets := NewSockets(nil)
	defer sockets.Close()
	socket, err := sockets.Bind("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", socket.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// It waits in the backlog for the generation that is served first.
	cfg := listenerConfig(t)
	f := &fixture{t: t, cfg: cfg, trace: new(recorder)}
	server := f.newServer(hello)
	socket.Serve(server)
	testkit.Eventually(t, "the connection is accepted", func() bool { return server.Stats().Connections == 1 })
}

// flaky is a socket whose first accepts fail.
type flaky struct {
	listener
	errs chan error
}

func (f *flaky) Accept() (net.Conn, error) {
	select {
	case err := <-f.errs:
		return nil, &net.OpError{Op: "accept", Err: err}
	default:
		return f.listener.Accept()
	}
}

func TestAcceptorOutlivesErrors(t *testing.T) {
	trace := new(recorder)
	sockets := NewSockets(trace.trace())
	defer sockets.Close()
	socket, err := sockets.Bind("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	errs := make(chan error, 2)
	errs <- syscall.EMFILE
	errs <- syscall.ENFILE
	socket.ln = &flaky{socket.ln, errs}
	f := &fixture{t: t, cfg: listenerConfig(t), trace: trace, socket: socket}
	began := time.Now()
	socket.Serve(f.newServer(hello))
	c := f.h1()
	c.get("/")
	c.answer()
	if n := len(trace.accepts); n != 2 || time.Since(began) < 15*time.Millisecond {
		t.Errorf("%d errors in %v, want 2 with pauses", n, time.Since(began))
	}
}
