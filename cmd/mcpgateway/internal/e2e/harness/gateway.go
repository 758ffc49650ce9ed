package harness

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/admin"
)

// ExitCode is that of a command that ended with err, or -1 where it did not run.
func ExitCode(err error) int {
	if e, ok := err.(*exec.ExitError); ok {
		return e.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}

// Gateway is a running process of the built binary. Its methods may be called
// concurrently where they change no file.
type Gateway struct {
	T    testing.TB
	Dir  string // has config.yaml and the admin socket, and is the process's folder
	Cmd  *exec.Cmd
	Logs *testkit.Buffer // what the process wrote to stderr
	Done chan struct{}   // closed when the process has ended
	api  *admin.Client
}

// Start runs the gateway in dir on the file config.yaml, to which an admin
// section is added, and waits until it is ready.
func Start(t testing.TB, dir, yaml string, env ...string) *Gateway {
	t.Helper()
	return startTo(t, dir, yaml, nil, env...)
}

// startTo is Start with another place for the log than the test's memory.
func startTo(t testing.TB, dir, yaml string, stderr *os.File, env ...string) *Gateway {
	t.Helper()
	socket := filepath.Join(dir, "a.sock")
	g := &Gateway{T: t, Dir: dir, Logs: &testkit.Buffer{}, Done: make(chan struct{}), api: admin.NewClient("unix:" + socket)}
	g.Configure(yaml)
	g.Cmd = Command(t, dir, "run", "-c", "config.yaml")
	g.Cmd.Env = append(os.Environ(), env...)
	g.Cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if g.Cmd.Stderr = g.Logs; stderr != nil {
		g.Cmd.Stderr = stderr
	}
	if err := g.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(g.Done); g.Cmd.Wait() }()
	t.Cleanup(func() {
		g.Cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-g.Done:
		case <-time.After(5 * time.Second):
			g.Cmd.Process.Kill()
			<-g.Done
		}
		if t.Failed() {
			t.Logf("the gateway's log:\n%s", Tail(g.Logs.String(), 12000))
		}
	})
	g.Eventually("the gateway to be ready", func() error {
		select {
		case <-g.Done:
			return testkit.Fatal(fmt.Errorf("the gateway ended: %s", g.Logs.String()))
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

// Configure writes the file; the running gateway applies it by itself, unless
// it says watch: false.
func (g *Gateway) Configure(yaml string) {
	g.T.Helper()
	// Renamed into place: a test that wants a torn file tears it itself.
	WriteFile(g.T, g.Dir, "config.tmp", []byte(yaml+"\nadmin: {address: \"unix:"+filepath.Join(g.Dir, "a.sock")+"\"}\n"))
	if err := os.Rename(filepath.Join(g.Dir, "config.tmp"), filepath.Join(g.Dir, "config.yaml")); err != nil {
		g.T.Fatal(err)
	}
}

// Apply writes the file and asks for it to be applied.
func (g *Gateway) Apply(yaml string) admin.Outcome {
	g.T.Helper()
	g.Configure(yaml)
	return g.Reload()
}

// Reload asks for a reload and returns its outcome. A change that the watcher
// was faster to see counts as applied.
func (g *Gateway) Reload() admin.Outcome {
	g.T.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	o, err := g.api.Reload(ctx)
	if err != nil {
		g.T.Fatalf("reload: %v", err)
	}
	return o
}

// MustApply is Apply where anything but acceptance fails the test.
func (g *Gateway) MustApply(yaml string) {
	g.T.Helper()
	if o := g.Apply(yaml); o.Result == admin.Rejected {
		g.T.Fatalf("the file was rejected: %s", strings.Join(o.Errors, "\n"))
	}
}

// Status is what `mcpgateway status` shows.
func (g *Gateway) Status() admin.Status {
	g.T.Helper()
	s, err := g.api.Status(context.Background())
	if err != nil {
		g.T.Fatalf("status: %v", err)
	}
	return s
}

// HangUp sends SIGHUP, which asks for a reload.
func (g *Gateway) HangUp() {
	g.T.Helper()
	if err := g.Cmd.Process.Signal(syscall.SIGHUP); err != nil {
		g.T.Fatal(err)
	}
}

// Metrics is what a scrape gets.
func (g *Gateway) Metrics() (string, error) {
	c := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(g.Dir, "a.sock"))
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

// Rejected is how many reloads were rejected, so far.
func (g *Gateway) Rejected() (n int) {
	g.T.Helper()
	metrics, err := g.Metrics()
	if err != nil {
		g.T.Fatal(err)
	}
	for line := range strings.Lines(metrics) {
		_, _ = fmt.Sscanf(line, `mcpgateway_reloads_total{result="rejected"} %d`, &n)
	}
	return n
}

// Address is what the listener of that name is bound to.
func (g *Gateway) Address(listener string) string {
	g.T.Helper()
	for _, l := range g.Status().Listeners {
		if l.Name == listener {
			return l.Address
		}
	}
	g.T.Fatalf("no listener %q", listener)
	return ""
}

// Port is that of Address.
func (g *Gateway) Port(listener string) string {
	a := g.Address(listener)
	return a[strings.LastIndexByte(a, ':')+1:]
}

// Eventually is testkit.Retry, for the gateway's test.
func (g *Gateway) Eventually(what string, f func() error) { g.T.Helper(); testkit.Retry(g.T, what, f) }

// LogLines decodes the JSON log.
func (g *Gateway) LogLines() []map[string]any {
	var all []map[string]any
	for l := range strings.Lines(g.Logs.String()) {
		m := map[string]any{}
		if json.Unmarshal([]byte(l), &m) == nil {
			all = append(all, m)
		}
	}
	return all
}

// MustReload is Reload where anything but a change that is applied fails the test.
func (g *Gateway) MustReload() {
	g.T.Helper()
	if o := g.Reload(); o.Result != "applied" {
		g.T.Fatalf("reload: %s %v", o.Result, o.Errors)
	}
}

// ClusterHealth returns an error unless an endpoint of the cluster has that health.
func ClusterHealth(g *Gateway, name, health string) error {
	for _, c := range g.Status().Clusters {
		if c.Name != name {
			continue
		}
		healthy := 0
		for _, e := range c.Endpoints {
			if e.Health == health {
				healthy++
			}
		}
		// A name may resolve to addresses on which no server listens.
		if healthy > 0 {
			return nil
		}
		return fmt.Errorf("%s is not %s: %+v", name, health, c.Endpoints)
	}
	return fmt.Errorf("no cluster %s", name)
}
