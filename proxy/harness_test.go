package proxy

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/admin"
)

// process is a gateway that runs within the test.
type process struct {
	*Gateway
	t         *testing.T
	dir       string
	logs      *testkit.Buffer
	hup, kill chan os.Signal
	stop      context.CancelFunc
	done      chan struct{}
	err       error // what Run returned; read after done
}

// unwatched is the section that leaves reloads to the test.
const unwatched = "reload: {watch: false, warm_timeout: 5s}\n"

// run starts a gateway on the file, and waits until it serves. dir may be "".
func run(t *testing.T, dir, yaml string, edit ...func(*Options)) *process {
	t.Helper()
	p := begin(t, dir, yaml, edit...)
	p.serves()
	return p
}

// serves waits until it does.
func (p *process) serves() {
	p.t.Helper()
	testkit.Retry(p.t, "the gateway to be ready", func() error {
		if isClosed(p.done) {
			p.t.Fatalf("the gateway ended: %v\n%s", p.err, p.logs)
		}
		if !p.shared.ready.Load() {
			return fmt.Errorf("not yet")
		}
		return nil
	})
}

func begin(t *testing.T, dir, yaml string, edit ...func(*Options)) *process {
	t.Helper()
	p := idle(t, dir, yaml, edit...)
	p.begin()
	return p
}

// idle is a process that has not begun.
func idle(t *testing.T, dir, yaml string, edit ...func(*Options)) *process {
	t.Helper()
	if dir == "" {
		dir = t.TempDir()
	}
	p := &process{t: t, dir: dir, logs: &testkit.Buffer{}, hup: make(chan os.Signal, 1), kill: make(chan os.Signal, 1), done: make(chan struct{})}
	o := Options{Path: filepath.Join(dir, "config.yaml"), Version: "test", Stderr: p.logs}
	for _, f := range edit {
		f(&o)
	}
	write(t, o.Path, yaml)
	p.Gateway = New(o)
	return p
}

func (p *process) begin() {
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	go func() { defer close(p.done); p.err = p.Run(ctx, p.hup, nil, p.kill) }()
	p.t.Cleanup(func() {
		p.stop()
		p.ended()
		if p.t.Failed() {
			p.t.Logf("the gateway's log:\n%s", p.logs)
		}
	})
}

// ended waits for Run to return.
func (p *process) ended() {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		p.t.Fatal("the gateway does not end")
	}
}

// apply writes the file and reloads.
func (p *process) apply(yaml string) admin.Outcome {
	p.t.Helper()
	write(p.t, filepath.Join(p.dir, "config.yaml"), yaml)
	o, err := p.Reload(context.Background())
	if err != nil {
		p.t.Fatalf("reload: %v", err)
	}
	return o
}

func (p *process) mustApply(yaml string) admin.Outcome {
	p.t.Helper()
	o := p.apply(yaml)
	if o.Result != admin.Applied {
		p.t.Fatalf("%s: %s", o.Result, strings.Join(o.Errors, "\n"))
	}
	return o
}

// settled waits until no older generation serves.
func (p *process) settled() {
	p.t.Helper()
	testkit.Retry(p.t, "older generations to be released", func() error {
		if d := p.Status().Draining; len(d) > 0 {
			return fmt.Errorf("%+v", d)
		}
		return nil
	})
}

// address is what a listener is bound to.
func (p *process) address(listener string) string {
	p.t.Helper()
	for _, l := range p.Status().Listeners {
		if l.Name == listener {
			return l.Address
		}
	}
	p.t.Fatalf("no listener %q", listener)
	return ""
}

// freePort is an address that no process holds.
func freePort(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t))
}

// deadPort is an address that refuses connections, and that no other process
// can take meanwhile.
func deadPort(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", at.(*unix.SockaddrInet4).Port)
}

// body gets a URL on a connection of its own.
func body(url string) (string, error) {
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}).Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

func expectBody(t *testing.T, url, want string) {
	t.Helper()
	if got, err := body(url); err != nil || got != want {
		t.Errorf("%s: %q, %v; want %q", url, got, err, want)
	}
}

// api is an upstream server: /events is a stream, anything else an answer.
func api(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/events" {
			io.WriteString(w, "api")
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: 1\n\n")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(s.Close)
	return s
}

// stream opens /events and returns how to close it, and whether it has ended.
func stream(t *testing.T, base string) (closeIt func(), ended <-chan error) {
	t.Helper()
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(base + "/events")
	if err != nil {
		t.Fatal(err)
	}
	first := make([]byte, len("data: 1\n\n"))
	if _, err := io.ReadFull(resp.Body, first); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, resp.Body)
		done <- err
	}()
	closeIt = func() { resp.Body.Close() }
	t.Cleanup(closeIt)
	return closeIt, done
}

// write creates or overwrites a file in place.
func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
