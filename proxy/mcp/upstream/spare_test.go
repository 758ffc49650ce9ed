package upstream

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
)

// once is a command that may run once only, with its health check.
func once(t *testing.T, discover string) (c *clusters.Cluster, e *clusters.Endpoint, known *Client, p clusters.Probe, dir string, notes func() []string) {
	c, e, dir, notes = oldCommand(t, discover, func(cfg *clusters.Config) { cfg.MaxProcesses = 1 })
	known = new(Client)
	p = (&Prober{Client: known}).NewProbe(c, e)
	t.Cleanup(func() { p.Close(context.Background()) })
	return c, e, known, p, dir, notes
}

func TestTheFirstSessionGetsTheProcessThatTheCheckHasStarted(t *testing.T) {
	for discover, want := range map[string][]string{
		"errs": {"start", "server/discover", "initialize"},
		// It takes nothing after what it does not know.
		"confused": {"start", "server/discover", "initialize", "start", "initialize"},
		"exits":    {"start", "server/discover", "start", "initialize", "start", "initialize"},
	} {
		for _, modern := range []bool{false, true} {
			c, e, known, p, _, notes := once(t, discover)
			if err := p.Check(t.Context()); err != nil {
				t.Fatalf("%s: %v", discover, err)
			}
			closed := make(chan error, 1)
			s := mustOpen(t, c, e, func(o *settings) {
				o.Modern, o.client, o.MaxResult = modern, known, 1<<20
				o.OnClose = func(err error) { closed <- err }
			})
			if got := notes(); !slices.Equal(got, want) {
				t.Errorf("%s: the server was asked %q, want %q", discover, got, want)
			}
			if s.Server().Version != "2025-06-18" || s.limits.longest() != 4<<20 {
				t.Errorf("%s: version %q, at most %d bytes are read", discover, s.Server().Version, s.limits.longest())
			}
			if err := s.Ping(t.Context()); err != nil {
				t.Errorf("%s: %v", discover, err)
			}
			if err := p.Check(t.Context()); err != nil {
				t.Errorf("%s: the next check: %v", discover, err)
			}
			s.Process().Stop(context.Background())
			if err := <-closed; !errors.Is(err, ErrSessionLost) {
				t.Errorf("%s: the session ended with %v", discover, err)
			}
		}
	}
}

// starting has a check start a process that does not answer until gate is opened.
func starting(t *testing.T, p clusters.Probe, dir string) (gate string) {
	t.Helper()
	gate = filepath.Join(dir, "gate")
	if err := syscall.Mkfifo(gate, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := p.Check(ctx); !errors.Is(err, clusters.ErrStarting) {
		t.Fatalf("a check of a process that starts: %v", err)
	}
	return gate
}

func TestASessionWaitsForTheProcessThatTheCheckIsStarting(t *testing.T) {
	c, e, known, p, dir, notes := once(t, "errs")
	gate := starting(t, p, dir)
	opened := make(chan *session, 1)
	go func() {
		s, err := open(t, c, e, func(o *settings) { o.client = known })
		if err != nil {
			t.Error(err)
		}
		opened <- s
	}()
	f, err := os.OpenFile(gate, os.O_WRONLY, 0) // waits for the process
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := p.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := <-opened; s == nil || s.Server().Version != "2025-06-18" {
		t.Errorf("the session is %+v", s)
	}
	if got := notes(); !slices.Equal(got, []string{"start", "server/discover", "initialize"}) {
		t.Errorf("the server was asked %q", got)
	}
}

func TestAProcessThatNoSessionHasTakenEndsWithTheCheck(t *testing.T) {
	_, e, _, p, _, _ := once(t, "errs")
	if err := p.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := e.Status().Processes; n != 1 {
		t.Errorf("%d processes", n)
	}
	p.Close(t.Context())
	if n := e.Status().Processes; n != 0 {
		t.Errorf("%d processes are left", n)
	}
}

// A session that opens while the check gives up is told, and starts its own.
func TestACheckThatEndsLeavesNoSessionWaiting(t *testing.T) {
	c, e, known, p, dir, _ := once(t, "errs")
	gate := starting(t, p, dir)
	if err := os.Remove(gate); err != nil {
		t.Fatal(err)
	}
	opened := make(chan error, 1)
	go func() {
		_, err := open(t, c, e, func(o *settings) { o.client = known })
		opened <- err
	}()
	p.Close(t.Context())
	if err := <-opened; err != nil {
		t.Error(err)
	}
}
