package clusters_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
)

// few returns the endpoint of a command that may run so many times.
func few(t *testing.T, most int, patience time.Duration) *clusters.Endpoint {
	cfg := command(t, "cat")
	cfg.MaxProcesses, cfg.QueueTimeout = most, patience
	return get(t, newSet(t, clusters.Options{}, cfg), "cmd").Endpoints()[0]
}

func TestTheProcessAtRestLongestMakesRoom(t *testing.T) {
	e := few(t, 3, time.Minute)
	first, second, third := start(t, e), start(t, e), start(t, e)
	first.Rest()
	second.Rest()
	third.Rest()
	first.Use()
	first.Rest()
	third.Use()
	start(t, e)
	<-second.Done()
	if !second.Taken() || !errors.Is(second.Err(), clusters.ErrTaken) {
		t.Errorf("the one at rest longest ended with %v", second.Err())
	}
	start(t, e)
	<-first.Done()
	if third.Err() != nil || third.Taken() {
		t.Errorf("the one in use ended with %v", third.Err())
	}
	if st := e.Status(); st.Processes != 3 || st.MaxProcesses != 3 || st.Waiting != 0 {
		t.Errorf("status: %+v", st)
	}
}

func TestAProcessAtRestIsTakenFirstFromThoseWhoLoseLeast(t *testing.T) {
	e := few(t, 5, time.Minute)
	startFor := func(owner clusters.Owner) *clusters.Process {
		t.Helper()
		p, err := e.StartFor(t.Context(), owner)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { kill(p) })
		return p
	}
	other := startFor(clusters.Owner{Principal: "other"})
	anonymous := startFor(clusters.Owner{})
	own, later := startFor(clusters.Owner{Principal: "asks"}), startFor(clusters.Owner{Principal: "asks"})
	check := startFor(clusters.Owner{Check: true})
	for _, p := range []*clusters.Process{other, anonymous, own, later, check} {
		p.Rest()
	}
	for i, next := range []*clusters.Process{check, own, later, anonymous, other} {
		startFor(clusters.Owner{Principal: "asks"})
		select {
		case <-next.Done():
		case <-time.After(time.Minute):
			t.Fatalf("start %d has not taken the process that it should", i)
		}
		if !next.Taken() {
			t.Errorf("process %d ended with %v", i, next.Err())
		}
	}
}

// Who has no name takes nothing from who has one, while there is anything else.
func TestAnAnonymousStartTakesTheProcessOfAnAnonymousSession(t *testing.T) {
	e := few(t, 2, time.Minute)
	named, err := e.StartFor(t.Context(), clusters.Owner{Principal: "named"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(named) })
	anonymous := start(t, e)
	named.Rest()
	anonymous.Rest()
	start(t, e)
	<-anonymous.Done()
	if named.Taken() {
		t.Error("the process of a principal was taken")
	}
}

func TestAStartWaitsForAProcessToEndOrRest(t *testing.T) {
	for name, yield := range map[string]func(*clusters.Process){
		"end":  kill,
		"rest": func(p *clusters.Process) { p.Rest() },
	} {
		t.Run(name, func(t *testing.T) {
			e := few(t, 1, time.Minute)
			p := start(t, e)
			started := make(chan error, 1)
			go func() {
				next, err := e.Start(context.Background())
				if err == nil {
					kill(next)
				}
				started <- err
			}()
			eventually(t, "the start waits", func() bool { return e.Status().Waiting == 1 })
			if _, err := e.StartIfFree(t.Context(), clusters.Owner{}); !errors.Is(err, clusters.ErrOverflow) {
				t.Errorf("a start that does not wait: %v", err)
			}
			yield(p)
			if err := <-started; err != nil {
				t.Error(err)
			}
			eventually(t, "nothing is left", func() bool { st := e.Status(); return st.Processes == 0 && st.Waiting == 0 })
		})
	}
}

func TestAStartThatWaitedInVainSaysSo(t *testing.T) {
	e := few(t, 1, 10*time.Millisecond)
	start(t, e)
	_, err := e.Start(t.Context())
	if !errors.Is(err, clusters.ErrOverflow) || !strings.Contains(err.Error(), "max_processes (1)") || !strings.Contains(err.Error(), "queue_timeout (10ms)") {
		t.Errorf("got %v", err)
	}
	if n := e.Status().Waiting; n != 0 {
		t.Errorf("%d wait still", n)
	}
	e = few(t, 1, time.Minute)
	start(t, e)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		eventually(t, "the start waits", func() bool { return e.Status().Waiting == 1 })
		cancel()
	}()
	if _, err := e.Start(ctx); err == nil || errors.Is(err, clusters.ErrOverflow) {
		t.Errorf("a start whose caller has gone: %v", err)
	}
	if n := e.Status().Waiting; n != 0 {
		t.Errorf("%d wait still", n)
	}
}

func TestAStartForACheckTakesNothingFromOthers(t *testing.T) {
	e := few(t, 1, time.Minute)
	p := start(t, e)
	p.Rest()
	if _, err := e.StartIfFree(t.Context(), clusters.Owner{}); !errors.Is(err, clusters.ErrOverflow) {
		t.Errorf("got %v", err)
	}
	if p.Taken() {
		t.Error("the process at rest was stopped")
	}
}

func TestMoreProcessesMayRunAfterACommit(t *testing.T) {
	cfg := command(t, "cat")
	cfg.MaxProcesses = 1
	first := newSet(t, clusters.Options{}, cfg)
	e := get(t, first, "cmd").Endpoints()[0]
	start(t, e)
	started := make(chan error, 1)
	go func() {
		p, err := e.Start(context.Background())
		if err == nil {
			kill(p)
		}
		started <- err
	}()
	eventually(t, "the start waits", func() bool { return e.Status().Waiting == 1 })
	cfg.MaxProcesses = 2
	prepare(t, first, clusters.Options{}, cfg).Commit()
	if err := <-started; err != nil {
		t.Error(err)
	}
}
