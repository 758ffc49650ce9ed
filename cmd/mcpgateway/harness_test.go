package main_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	cryptotls "crypto/tls"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/proxy/admin"
)

// binary is the gateway as users run it, built once for all tests.
var binary string

func TestMain(m *testing.M) {
	if name := os.Getenv(asScenarioServer); name != "" {
		if err := newScenarioServer(name).Run(context.Background(), &mcp.StdioTransport{}); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		return
	}
	code := func() int {
		dir, err := os.MkdirTemp("", "gw")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "mcpgateway")
		build := exec.Command("go", "build", "-o", binary, ".")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "building the gateway: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}()
	os.Exit(code)
}

// shortDir is a folder whose path is short enough for a unix socket.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// writeFile writes a file of a test's folder, in place.
func writeFile(t testing.TB, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// gateway is a running process of the built binary.
type gateway struct {
	t    testing.TB
	dir  string
	cmd  *exec.Cmd
	logs *syncBuffer
	done chan struct{}
	api  *admin.Client
}

// start runs the gateway in dir on the file config.yaml, to which an admin
// section is added, and waits until it is ready.
func start(t testing.TB, dir, yaml string, env ...string) *gateway {
	t.Helper()
	return startTo(t, dir, yaml, nil, env...)
}

// startTo is start with another place for the log than the test's memory.
func startTo(t testing.TB, dir, yaml string, stderr *os.File, env ...string) *gateway {
	t.Helper()
	socket := filepath.Join(dir, "a.sock")
	g := &gateway{t: t, dir: dir, logs: &syncBuffer{}, done: make(chan struct{}), api: admin.NewClient("unix:" + socket)}
	g.configure(yaml)
	g.cmd = exec.Command(binary, "run", "-c", "config.yaml")
	g.cmd.Dir = dir
	g.cmd.Env = append(os.Environ(), env...)
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if g.cmd.Stderr = g.logs; stderr != nil {
		g.cmd.Stderr = stderr
	}
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(g.done); g.cmd.Wait() }()
	t.Cleanup(func() {
		g.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-g.done:
		case <-time.After(5 * time.Second):
			g.cmd.Process.Kill()
			<-g.done
		}
		if t.Failed() {
			t.Logf("the gateway's log:\n%s", tail(g.logs.String(), 12000))
		}
	})
	g.eventually("the gateway to be ready", func() error {
		select {
		case <-g.done:
			return fatal{fmt.Errorf("the gateway ended: %s", g.logs.String())}
		default:
		}
		s, err := g.api.Status(context.Background())
		if err == nil && !s.Ready {
			err = fmt.Errorf("not ready")
		}
		return err
	})
	return g
}

// configure writes the file; the running gateway applies it by itself, unless
// it says watch: false.
func (g *gateway) configure(yaml string) {
	g.t.Helper()
	// Renamed into place: a test that wants a torn file tears it itself.
	writeFile(g.t, g.dir, "config.tmp", []byte(yaml+"\nadmin: {address: \"unix:"+filepath.Join(g.dir, "a.sock")+"\"}\n"))
	if err := os.Rename(filepath.Join(g.dir, "config.tmp"), filepath.Join(g.dir, "config.yaml")); err != nil {
		g.t.Fatal(err)
	}
}

// apply writes the file and asks for it to be applied.
func (g *gateway) apply(yaml string) admin.Outcome {
	g.t.Helper()
	g.configure(yaml)
	return g.reload()
}

// reload asks for a reload and returns its outcome. A change that the watcher
// was faster to see counts as applied.
func (g *gateway) reload() admin.Outcome {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	o, err := g.api.Reload(ctx)
	if err != nil {
		g.t.Fatalf("reload: %v", err)
	}
	return o
}

// mustApply is apply where anything but acceptance fails the test.
func (g *gateway) mustApply(yaml string) {
	g.t.Helper()
	if o := g.apply(yaml); o.Result == admin.Rejected {
		g.t.Fatalf("the file was rejected: %s", strings.Join(o.Errors, "\n"))
	}
}

func (g *gateway) status() admin.Status {
	g.t.Helper()
	s, err := g.api.Status(context.Background())
	if err != nil {
		g.t.Fatalf("status: %v", err)
	}
	return s
}

func (g *gateway) hup() {
	g.t.Helper()
	if err := g.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		g.t.Fatal(err)
	}
}

// metrics is what a scrape gets.
func (g *gateway) metrics() (string, error) {
	c := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(g.dir, "a.sock"))
		},
	}}
	resp, err := c.Get("http://localhost/metrics")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// rejected is how many reloads were, so far.
func (g *gateway) rejected() (n int) {
	g.t.Helper()
	metrics, err := g.metrics()
	if err != nil {
		g.t.Fatal(err)
	}
	for line := range strings.Lines(metrics) {
		_, _ = fmt.Sscanf(line, `mcpgateway_reloads_total{result="rejected"} %d`, &n)
	}
	return n
}

// address is what the listener of that name is bound to.
func (g *gateway) address(listener string) string {
	g.t.Helper()
	for _, l := range g.status().Listeners {
		if l.Name == listener {
			return l.Address
		}
	}
	g.t.Fatalf("no listener %q", listener)
	return ""
}

// port is that of address.
func (g *gateway) port(listener string) string {
	a := g.address(listener)
	return a[strings.LastIndexByte(a, ':')+1:]
}

// fatal ends eventually at once.
type fatal struct{ error }

// eventually polls until f returns nil.
func (g *gateway) eventually(what string, f func() error) { g.t.Helper(); eventually(g.t, what, f) }

func eventually(t testing.TB, what string, f func() error) {
	t.Helper()
	within(t, 20*time.Second, what, f)
}

// within is eventually with another patience.
func within(t testing.TB, patience time.Duration, what string, f func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := f()
		if err == nil {
			return
		}
		if _, now := err.(fatal); now || time.Now().After(deadline) {
			t.Fatalf("waiting for %s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// syncBuffer is written by a process and read by a test.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// lines decodes the JSON log.
func (g *gateway) lines() []map[string]any {
	var all []map[string]any
	for l := range strings.Lines(g.logs.String()) {
		m := map[string]any{}
		if json.Unmarshal([]byte(l), &m) == nil {
			all = append(all, m)
		}
	}
	return all
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

// client is an HTTP client that trusts ca, shows cert, and speaks only the
// given protocol: "http/1.1" or "h2".
func client(t testing.TB, ca []byte, protocol string, certs ...cryptotls.Certificate) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		t.Fatal("no CA")
	}
	p := new(http.Protocols)
	p.SetHTTP1(protocol == "http/1.1")
	p.SetHTTP2(protocol == "h2")
	tr := &http.Transport{Protocols: p, TLSClientConfig: &cryptotls.Config{RootCAs: pool, Certificates: certs}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}
