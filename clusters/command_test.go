package clusters_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/clusters/peertest"
	"github.com/mcpgateway/mcpgateway/clusters/process"
	"github.com/mcpgateway/mcpgateway/clusters/transport"
)

func command(t testing.TB, argv ...string) clusters.Config {
	t.Helper()
	cfg := cluster(t, "cmd")
	cfg.Endpoints, cfg.Command = nil, argv
	return cfg
}

func start(t testing.TB, e *clusters.Endpoint) *process.Process {
	t.Helper()
	p, err := e.Start(t.Context(), process.Owner{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(p) })
	return p
}

func kill(p *process.Process) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p.Stop(ctx)
}

// A start that failed has reached no server, but for one that met max_processes.
func TestAStartThatFailsIsAConnectError(t *testing.T) {
	connectError := func(err error) bool {
		ce := (*transport.ConnectError)(nil)
		return errors.As(err, &ce) && ce.Cluster == "cmd" && ce.Endpoint == "command"
	}
	e := get(t, newSet(t, clusters.Options{}, command(t, "no-such-program")), "cmd").Endpoints()[0]
	if _, err := e.Start(t.Context(), process.Owner{}); !connectError(err) || !strings.Contains(err.Error(), "in PATH") {
		t.Errorf("a missing program: %v", err)
	}

	cfg := command(t, "sh", "-c", "exit 3")
	e = get(t, newSet(t, clusters.Options{}, cfg), "cmd").Endpoints()[0]
	p, err := e.Start(t.Context(), process.Owner{})
	for starts := 0; err == nil && starts < 7; p, err = e.Start(t.Context(), process.Owner{}) {
		starts++
		<-p.Done()
	}
	if !connectError(err) || !strings.Contains(err.Error(), "started again in") {
		t.Errorf("a program that fails: %v", err)
	}
	var owner process.Backoff
	for range 4 {
		owner.Ended(errors.New("crashed"), time.Hour)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Await(ctx, &owner); !connectError(err) || !errors.Is(err, context.Canceled) {
		t.Errorf("an owner that waits no longer: %v", err)
	}
	if err := e.Await(ctx, nil); err != nil {
		t.Errorf("without an owner there is nothing to wait for: %v", err)
	}

	cfg = command(t, "cat")
	cfg.MaxProcesses, cfg.QueueTimeout = 1, 0
	first := newSet(t, clusters.Options{}, cfg)
	e = get(t, first, "cmd").Endpoints()[0]
	kept := start(t, e)
	if _, err := e.Start(t.Context(), process.Owner{}); connectError(err) || !errors.Is(err, process.ErrOverflow) || !strings.HasPrefix(err.Error(), "cluster cmd: upstream overflow: max_processes (1)") {
		t.Errorf("max_processes: %v", err)
	}
	if st := e.Status(); st.Processes != 1 || st.MaxProcesses != 1 || st.Waiting != 0 {
		t.Errorf("status: %+v", st)
	}
	kill(kept)
	release(t, first)
	if _, err := e.Start(t.Context(), process.Owner{}); !connectError(err) || !errors.Is(err, transport.ErrRetired) {
		t.Errorf("a released endpoint: %v", err)
	}
}

func TestAChangedCommandLetsOldProcessesRun(t *testing.T) {
	first := newSet(t, clusters.Options{}, command(t, "cat"))
	old := start(t, get(t, first, "cmd").Endpoints()[0])
	second := prepare(t, first, clusters.Options{}, command(t, "cat", "-"))
	second.Commit()
	release(t, first)
	if !retired(get(t, first, "cmd").Endpoints()[0]) {
		t.Error("the old command was not retired")
	}
	fmt.Fprintln(old.Stdin, "still here")
	if line, err := bufio.NewReader(old.Stdout).ReadString('\n'); err != nil || line != "still here\n" {
		t.Errorf("heard %q, %v", line, err)
	}
	if n := get(t, second, "cmd").Endpoints()[0].Status().Processes; n != 1 {
		t.Errorf("%d processes are counted", n)
	}
}

func TestACommandsHealthComesFromItsProber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := command(t, "cat")
		cfg.CheckedByDefault = true
		p := newPatient()
		set := newSet(t, clusters.Options{Probers: mcp(p)}, cfg)
		synctest.Wait()
		if st := get(t, set, "cmd").Endpoints()[0].Status(); st.Health != clusters.Healthy || st.ID != "command" || p.count("") != 1 {
			t.Errorf("%+v", st)
		}
	})
}

func TestMoreProcessesMayRunAfterACommit(t *testing.T) {
	cfg := command(t, "cat")
	cfg.MaxProcesses = 1
	first := newSet(t, clusters.Options{}, cfg)
	e := get(t, first, "cmd").Endpoints()[0]
	start(t, e)
	started := make(chan error, 1)
	go func() {
		p, err := e.Start(context.Background(), process.Owner{})
		if err == nil {
			kill(p)
		}
		started <- err
	}()
	peertest.Eventually(t, "the start waits", func() bool { return e.Status().Waiting == 1 })
	cfg.MaxProcesses = 2
	prepare(t, first, clusters.Options{}, cfg).Commit()
	if err := <-started; err != nil {
		t.Error(err)
	}
}
