package process_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters/process"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
)

// few returns a command that may run so many processes.
func few(most int, patience time.Duration) *process.Command {
	return limited(most, patience, process.Settings{Argv: []string{"cat"}})
}

func TestTheProcessAtRestLongestMakesRoom(t *testing.T) {
	c := few(3, time.Minute)
	first, second, third := start(t, c), start(t, c), start(t, c)
	first.Rest()
	second.Rest()
	third.Rest()
	first.Use()
	first.Rest()
	third.Use()
	start(t, c)
	<-second.Done()
	if !second.Taken() || !errors.Is(second.Err(), process.ErrTaken) {
		t.Errorf("the one at rest longest ended with %v", second.Err())
	}
	start(t, c)
	<-first.Done()
	if third.Err() != nil || third.Taken() {
		t.Errorf("the one in use ended with %v", third.Err())
	}
	if running, most, waiting := c.Count(); running != 3 || most != 3 || waiting != 0 {
		t.Errorf("%d of %d run, %d wait", running, most, waiting)
	}
}

func TestAProcessAtRestIsTakenFirstFromThoseWhoLoseLeast(t *testing.T) {
	c := few(5, time.Minute)
	startFor := func(owner process.Owner) *process.Process {
		t.Helper()
		return startFor(t, c, owner)
	}
	other := startFor(process.Owner{Principal: "other"})
	anonymous := startFor(process.Owner{})
	own, later := startFor(process.Owner{Principal: "asks"}), startFor(process.Owner{Principal: "asks"})
	check := startFor(process.Owner{Check: true})
	for _, p := range []*process.Process{other, anonymous, own, later, check} {
		p.Rest()
	}
	for i, next := range []*process.Process{check, own, later, anonymous, other} {
		startFor(process.Owner{Principal: "asks"})
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
	c := few(2, time.Minute)
	named := startFor(t, c, process.Owner{Principal: "named"})
	anonymous := start(t, c)
	named.Rest()
	anonymous.Rest()
	start(t, c)
	<-anonymous.Done()
	if named.Taken() {
		t.Error("the process of a principal was taken")
	}
}

func TestAStartWaitsForAProcessToEndOrRest(t *testing.T) {
	for name, yield := range map[string]func(*process.Process){
		"end":  kill,
		"rest": func(p *process.Process) { p.Rest() },
	} {
		t.Run(name, func(t *testing.T) {
			c := few(1, time.Minute)
			p := start(t, c)
			started := make(chan error, 1)
			go func() {
				next, err := c.Start(context.Background(), process.Owner{}, func() {})
				if err == nil {
					kill(next)
				}
				started <- err
			}()
			testkit.Eventually(t, "the start waits", func() bool { return waiting(c) == 1 })
			if _, err := c.Start(t.Context(), process.Owner{IfFree: true}, func() {}); !errors.Is(err, process.ErrOverflow) {
				t.Errorf("a start that does not wait: %v", err)
			}
			yield(p)
			if err := <-started; err != nil {
				t.Error(err)
			}
			testkit.Eventually(t, "nothing is left", func() bool { return running(c) == 0 && waiting(c) == 0 })
		})
	}
}

func TestAStartThatWaitedInVainSaysSo(t *testing.T) {
	c := few(1, 10*time.Millisecond)
	start(t, c)
	_, err := c.Start(t.Context(), process.Owner{}, func() {})
	if !errors.Is(err, process.ErrOverflow) || !strings.Contains(err.Error(), "max_processes (1)") || !strings.Contains(err.Error(), "queue_timeout (10ms)") {
		t.Errorf("got %v", err)
	}
	if n := waiting(c); n != 0 {
		t.Errorf("%d wait still", n)
	}
	c = few(1, time.Minute)
	start(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		testkit.Eventually(t, "the start waits", func() bool { return waiting(c) == 1 })
		cancel()
	}()
	if _, err := c.Start(ctx, process.Owner{}, func() {}); err == nil || errors.Is(err, process.ErrOverflow) {
		t.Errorf("a start whose caller has gone: %v", err)
	}
	if n := waiting(c); n != 0 {
		t.Errorf("%d wait still", n)
	}
}

func TestAStartForACheckTakesNothingFromOthers(t *testing.T) {
	c := few(1, time.Minute)
	p := start(t, c)
	p.Rest()
	if _, err := c.Start(t.Context(), process.Owner{IfFree: true}, func() {}); !errors.Is(err, process.ErrOverflow) {
		t.Errorf("got %v", err)
	}
	if p.Taken() {
		t.Error("the process at rest was stopped")
	}
}
