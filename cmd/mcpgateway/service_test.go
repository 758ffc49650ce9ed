package main_test

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
)

// notifications is a service manager's socket.
func notifications(t *testing.T) (path string, next func() string) {
	t.Helper()
	path = filepath.Join(shortDir(t), "n.sock")
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
	dir := shortDir(t)
	yaml := func(route string) string {
		return "reload: {watch: false}\nlisteners: [{name: public, address: \"127.0.0.1:0\"}]\nroutes: [{match: {path: /" + route + "}, health: live}]"
	}
	g := start(t, dir, yaml("a"), "NOTIFY_SOCKET="+socket)
	if n := next(); !strings.HasPrefix(n, "READY=1\nSTATUS=generation 1") {
		t.Errorf("at start: %q", n)
	}
	reloading := regexp.MustCompile(`^RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]+$`)
	for _, step := range []struct{ yaml, want string }{
		{yaml("b"), "STATUS=generation 2: "},
		{yaml("b"), "STATUS=generation 2: unchanged"},
		{"routes: {", "STATUS=generation 2 serves on; reload rejected"},
	} {
		g.configure(step.yaml)
		g.hup()
		if n := next(); !reloading.MatchString(n) {
			t.Errorf("before the reload: %q", n)
		}
		if n := next(); !strings.HasPrefix(n, "READY=1\n"+step.want) {
			t.Errorf("after the reload: %q, want %q", n, step.want)
		}
	}
	g.cmd.Process.Signal(syscall.SIGTERM)
	if n := next(); n != "STOPPING=1" {
		t.Errorf("at the end: %q", n)
	}
}

func TestShutdownLetsRequestsFinishAndSaysItIsNotReady(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(e *edge) {
		e.top = "shutdown: {delay: 500ms, timeout: 10s}"
		e.routes = "  - match: {path: /ready}\n    health: ready"
	})
	address := e.address("public")
	all := []*opened{open(t, e.api, e.base(), "http/1.1", client(t, e.ca.PEM(), "http/1.1")), open(t, e.api, e.base(), "h2", client(t, e.ca.PEM(), "h2"))}
	probe := e.dial(address)
	probe.expect("/ready", http.StatusOK, true)
	e.cmd.Process.Signal(syscall.SIGTERM)
	e.eventually("readiness to be withdrawn", func() error {
		status, _, err := probe.get("/ready")
		if err != nil {
			return fatal{err}
		}
		if status != http.StatusServiceUnavailable {
			return fmt.Errorf("%d", status)
		}
		return nil
	})
	e.eventually("the socket to close", func() error {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			return errors.New("still open")
		}
		return nil
	})
	for _, o := range all {
		o.finish()
	}
	select {
	case <-e.done:
	case <-time.After(10 * time.Second):
		t.Error("the process did not end once its last request had")
	}
	if code := e.cmd.ProcessState.ExitCode(); code != 0 {
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
	e := newEdge(t, func(e *edge) { e.stderr = w })
	w.Close()
	c := client(t, e.ca.PEM(), "http/1.1")
	if code, _, _ := get(t, c, e.base()); code != http.StatusOK {
		t.Fatalf("%d", code)
	}
	r.Close()
	for range 3 {
		if code, _, _ := get(t, c, e.base()); code != http.StatusOK {
			t.Errorf("%d", code)
		}
	}
	e.routes = "  - match: {path: /api/x}\n    respond: {status: 204}"
	e.change()
}

func TestASecondSignalStopsAtOnce(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(e *edge) { e.top = "shutdown: {timeout: 10m}" })
	resp, err := client(t, e.ca.PEM(), "http/1.1").Get(e.base() + "/events?name=x")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	e.cmd.Process.Signal(syscall.SIGTERM)
	e.eventually("the drain to begin", func() error {
		if !strings.Contains(e.logs.String(), "shutting down") {
			return errors.New("not yet")
		}
		return nil
	})
	e.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-e.done:
	case <-time.After(15 * time.Second):
		t.Error("the process did not stop")
	}
}

func TestTheAccessLogSaysWhatHappenedAndNoSecrets(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	req, _ := http.NewRequest(http.MethodGet, e.base()+"/ok?token=hunter2", nil)
	req.Header.Set("Authorization", "Bearer hunter2")
	resp, err := client(t, e.ca.PEM(), "h2").Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	e.eventually("the line", func() error {
		for _, l := range e.lines() {
			if l["path"] != "/api/ok" {
				continue
			}
			for field, want := range map[string]any{"listener": "public", "method": "GET", "status": 200., "route": "/api", "cluster": "api",
				"generation": 1., "protocol": "HTTP/2.0", "bytes": 2.} {
				if l[field] != want {
					return fatal{fmt.Errorf("%s is %v, want %v: %v", field, l[field], want, l)}
				}
			}
			return nil
		}
		return errors.New("not there yet")
	})
	if strings.Contains(e.logs.String(), "hunter2") {
		t.Error("a secret is in the log")
	}
}
