package operations_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
)

// notifications is a service manager's socket.
func notifications(t *testing.T) (path string, next func() string) {
	t.Helper()
	path = filepath.Join(harness.ShortDir(t), "n.sock")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return path, func() string {
		t.Helper()
		buf := make([]byte, 4096)
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		n, err := c.Read(buf)
		if err != nil {
			t.Fatalf("waiting for a notification: %v", err)
		}
		return string(buf[:n])
	}
}

// systemd.service(5), Type=notify-reload: RELOADING=1 with MONOTONIC_USEC in
// one message, then READY=1, whatever came of it.
func TestTheServiceManagerIsToldOfEachReload(t *testing.T) {
	t.Parallel()
	socket, next := notifications(t)
	dir := harness.ShortDir(t)
	yaml := func(route string) string {
		return "reload: {watch: false}\nlisteners: [{name: public, address: \"127.0.0.1:0\"}]\nroutes: [{match: {path: /" + route + "}, health: live}]"
	}
	g := harness.Start(t, dir, yaml("a"), "NOTIFY_SOCKET="+socket)
	if n := next(); !strings.HasPrefix(n, "READY=1\nSTATUS=generation 1") {
		t.Errorf("at start: %q", n)
	}
	reloading := regexp.MustCompile(`^RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]+$`)
	for _, step := range []struct{ yaml, want string }{
		{yaml("b"), "STATUS=generation 2: "},
		{yaml("b"), "STATUS=generation 2: unchanged"},
		{"routes: {", "STATUS=generation 2 serves on; reload rejected"},
	} {
		g.Configure(step.yaml)
		g.HangUp()
		if n := next(); !reloading.MatchString(n) {
			t.Errorf("before the reload: %q", n)
		}
		if n := next(); !strings.HasPrefix(n, "READY=1\n"+step.want) {
			t.Errorf("after the reload: %q, want %q", n, step.want)
		}
	}
	g.Cmd.Process.Signal(syscall.SIGTERM)
	if n := next(); n != "STOPPING=1" {
		t.Errorf("at the end: %q", n)
	}
}

func TestShutdownLetsRequestsFinishAndSaysItIsNotReady(t *testing.T) {
	t.Parallel()
	e := harness.NewEdge(t, func(e *harness.Edge) {
		e.Top = "shutdown: {delay: 500ms, timeout: 10s}"
		e.Routes = "  - match: {path: /ready}\n    health: ready"
	})
	address := e.Address("public")
	all := []*harness.Opened{harness.Open(t, e.API, e.Base(), "http/1.1", harness.Client(t, e.CA.PEM(), "http/1.1")), harness.Open(t, e.API, e.Base(), "h2", harness.Client(t, e.CA.PEM(), "h2"))}
	probe := e.Dial(address)
	probe.Expect("/ready", http.StatusOK, true)
	e.Cmd.Process.Signal(syscall.SIGTERM)
	e.Eventually("readiness to be withdrawn", func() error {
		status, _, err := probe.Get("/ready")
		if err != nil {
			return testkit.Fatal(err)
		}
		if status != http.StatusServiceUnavailable {
			return fmt.Errorf("%d", status)
		}
		return nil
	})
	e.Eventually("the socket to close", func() error {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			return errors.New("still open")
		}
		return nil
	})
	for _, o := range all {
		o.Finish()
	}
	select {
	case <-e.Done:
	case <-time.After(10 * time.Second):
		t.Error("the process did not end once its last request had")
	}
	if code := e.Cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// The reader of the log is another process, and may die.
func TestALogThatNobodyReadsCostsNobodyAConnection(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	e := harness.NewEdge(t, func(e *harness.Edge) { e.Stderr = w })
	w.Close()
	c := harness.Client(t, e.CA.PEM(), "http/1.1")
	if code, _, _ := harness.Get(t, c, e.Base()); code != http.StatusOK {
		t.Fatalf("%d", code)
	}
	r.Close()
	for range 3 {
		if code, _, _ := harness.Get(t, c, e.Base()); code != http.StatusOK {
			t.Errorf("%d", code)
		}
	}
	e.Routes = "  - match: {path: /api/x}\n    respond: {status: 204}"
	e.Change()
}

func TestASecondSignalStopsAtOnce(t *testing.T) {
	t.Parallel()
	e := harness.NewEdge(t, func(e *harness.Edge) { e.Top = "shutdown: {timeout: 10m}" })
	resp, err := harness.Client(t, e.CA.PEM(), "http/1.1").Get(e.Base() + "/events?name=x")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	e.Cmd.Process.Signal(syscall.SIGTERM)
	e.Eventually("the drain to begin", func() error {
		if !strings.Contains(e.Logs.String(), "shutting down") {
			return errors.New("not yet")
		}
		return nil
	})
	e.Cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-e.Done:
	case <-time.After(15 * time.Second):
		t.Error("the process did not stop")
	}
}

func TestTheAccessLogSaysWhatHappenedAndNoSecrets(t *testing.T) {
	t.Parallel()
	e := harness.NewEdge(t)
	req, _ := http.NewRequest(http.MethodGet, e.Base()+"/ok?token=hunter2", nil)
	req.Header.Set("Authorization", "Bearer hunter2")
	resp, err := harness.Client(t, e.CA.PEM(), "h2").Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	e.Eventually("the line", func() error {
		for _, l := range e.LogLines() {
			if l["path"] != "/api/ok" {
				continue
			}
			for field, want := range map[string]any{"listener": "public", "method": "GET", "status": 200., "route": "/api", "cluster": "api",
				"generation": 1., "protocol": "HTTP/2.0", "bytes": 2.} {
				if l[field] != want {
					return testkit.Fatal(fmt.Errorf("%s is %v, want %v: %v", field, l[field], want, l))
				}
			}
			return nil
		}
		return errors.New("not there yet")
	})
	if strings.Contains(e.Logs.String(), "hunter2") {
		t.Error("a secret is in the log")
	}
}
