package clusters_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/proxy/config"
)

func command(t testing.TB, argv ...string) clusters.Config {
	t.Helper()
	cfg := cluster(t, "cmd")
	cfg.Endpoints, cfg.Command = nil, argv
	return cfg
}

func shell(t testing.TB, script string) clusters.Config { return command(t, "sh", "-c", script) }

func start(t testing.TB, e *clusters.Endpoint) *clusters.Process {
	t.Helper()
	p, err := e.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(p) })
	return p
}

func kill(p *clusters.Process) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p.Stop(ctx)
}

func TestAProcessTalksOverItsPipes(t *testing.T) {
	files := descriptors(t)
	e := get(t, newSet(t, clusters.Options{}, command(t, "cat")), "cmd").Endpoints()[0]
	p := start(t, e)
	fmt.Fprintln(p.Stdin, "hello")
	if line, err := bufio.NewReader(p.Stdout).ReadString('\n'); err != nil || line != "hello\n" {
		t.Errorf("heard %q, %v", line, err)
	}
	if n := e.Status().Processes; n != 1 {
		t.Errorf("%d processes", n)
	}
	p.Stop(t.Context()) // cat ends with its stdin
	if !errors.Is(p.Err(), clusters.ErrStopped) {
		t.Errorf("ended with %v", p.Err())
	}
	if _, err := p.Stdout.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("stdout ended with %v", err)
	}
	eventually(t, "descriptors are gone", func() bool { return descriptors(t) <= files })
}

func TestChildrenGetNoneOfTheGatewaysSecrets(t *testing.T) {
	dir := t.TempDir()
	cfg := shell(t, "env; pwd")
	cfg.Env, cfg.Dir = map[string]config.Value{"OWN": {Text: "1"}, "LANG": {Text: "C.UTF-8"}}, config.Path(dir)
	opts := clusters.Options{Environ: []string{"PATH=" + os.Getenv("PATH"), "HOME=/home/x", "LANG=de", "SECRET=s3cret"}}
	p := start(t, get(t, newSet(t, opts, cfg), "cmd").Endpoints()[0])
	out, err := io.ReadAll(p.Stdout)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"OWN=1\n", "HOME=/home/x\n", "LANG=C.UTF-8\n", dir + "\n"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
	}
	if strings.Contains(string(out), "SECRET") || strings.Contains(string(out), "LANG=de") {
		t.Errorf("too much in:\n%s", out)
	}
}

func TestStopTakesTheWholeGroup(t *testing.T) {
	for name, script := range map[string]string{
		"a group that obeys TERM": "sleep 1000 & echo $!; wait",
		"a group that ignores it": "trap '' TERM; sleep 1000 & echo $!; wait; wait; wait",
		"a leader that has left":  "sleep 1000 & echo $!",
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, get(t, newSet(t, clusters.Options{}, shell(t, script)), "cmd").Endpoints()[0])
			line, err := bufio.NewReader(p.Stdout).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			grandchild, err := strconv.Atoi(strings.TrimSpace(line))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			p.Stop(ctx)
			eventually(t, "the grandchild is gone", func() bool { return gone(grandchild) })
		})
	}
}

// gone reports whether a process has ended; a zombie has.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

// parentOfOrphan makes the test binary a gateway that starts a child which
// heeds neither the end of its stdin nor SIGTERM.
const parentOfOrphan = "TEST_PARENT_OF_ORPHAN"

func beParentOfOrphan() {
	var cfg clusters.Config
	if err := config.Defaults(&cfg); err != nil {
		panic(err)
	}
	cfg.Name, cfg.Command = "cmd", []string{"sh", "-c", "trap '' TERM; echo $$; while :; do sleep 1; done"}
	set, err := clusters.NewSet([]clusters.Config{cfg}, nil, clusters.Options{})
	if err != nil {
		panic(err)
	}
	p, err := set.All()[0].Endpoints()[0].Start(context.Background())
	if err != nil {
		panic(err)
	}
	_, _ = io.Copy(os.Stdout, p.Stdout)
}

func TestAKilledGatewayLeavesNoChildren(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	gateway := exec.Command(self)
	gateway.Env = append(os.Environ(), parentOfOrphan+"=1")
	out, err := gateway.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := gateway.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	child, numErr := strconv.Atoi(strings.TrimSpace(line))
	_ = gateway.Process.Kill()
	_ = gateway.Wait()
	if err != nil || numErr != nil {
		t.Fatal(err, numErr)
	}
	eventually(t, "the child is gone", func() bool { return gone(child) })
}

func TestMaxProcessesIsABound(t *testing.T) {
	cfg := command(t, "cat")
	cfg.MaxProcesses, cfg.QueueTimeout = 2, 0
	e := get(t, newSet(t, clusters.Options{}, cfg), "cmd").Endpoints()[0]
	first := start(t, e)
	start(t, e)
	if _, err := e.Start(t.Context()); !errors.Is(err, clusters.ErrOverflow) || !strings.Contains(err.Error(), "max_processes (2)") {
		t.Errorf("got %v", err)
	}
	first.Stop(t.Context())
	start(t, e)
}

var startedAgain = regexp.MustCompile(`started again in [0-9]+s`)

func TestACommandThatFailsIsStartedLessAndLess(t *testing.T) {
	var mu sync.Mutex
	var events []string
	trace := &clusters.Trace{Process: func(_, event string, err error) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, event)
	}}
	e := get(t, newSet(t, clusters.Options{Trace: trace}, shell(t, "exit 3")), "cmd").Endpoints()[0]
	// The second start waits for a moment. The third one is refused, unless so
	// much time has passed that it waits too: the delay doubles.
	starts := 0
	p, err := e.Start(t.Context())
	for ; err == nil && starts < 7; p, err = e.Start(t.Context()) {
		starts++
		<-p.Done()
		if err := p.Err(); err == nil || !strings.Contains(err.Error(), "exit status 3") {
			t.Errorf("ended with %v", err)
		}
	}
	if starts < 2 {
		t.Errorf("the command was started %d times", starts)
	}
	ce := (*clusters.ConnectError)(nil)
	if !errors.As(err, &ce) || !startedAgain.MatchString(err.Error()) || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v", err)
	}
	eventually(t, "events", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(events, " ") == strings.TrimSpace(strings.Repeat("started exited ", starts))
	})
}

// A process that crashes while it serves says nothing about those of others; one
// that does not get as far does, unless others serve.
func TestTheBackoffBelongsToTheOwner(t *testing.T) {
	e := get(t, newSet(t, clusters.Options{}, command(t, "cat")), "cmd").Endpoints()[0]
	at := func(owner *clusters.Backoff) *clusters.Process {
		t.Helper()
		p, err := e.StartFor(t.Context(), clusters.Owner{Backoff: owner})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { kill(p) })
		return p
	}
	crash := func(p *clusters.Process) {
		p.Stdin.Close()
		<-p.Done()
	}
	began := time.Now() // the delays begin later
	delayed := func(owner *clusters.Backoff) bool {
		wait, _ := e.Delay(owner, began)
		return wait > 0
	}
	var one, other, third clusters.Backoff
	p := at(&one)
	p.Serving()
	crash(p)
	if delayed(&other) {
		t.Error("a crash delays another owner")
	}
	if !delayed(&one) {
		t.Error("a crash does not delay its owner")
	}
	kill(at(&other))
	p = at(&third)
	p.Serving()
	crash(at(&other))
	if delayed(new(clusters.Backoff)) || !delayed(&other) {
		t.Error("a start that fails beside a process that serves does not delay its owner alone")
	}
	kill(p)
	crash(at(new(clusters.Backoff)))
	if !delayed(new(clusters.Backoff)) {
		t.Error("starts that fail do not delay the cluster's")
	}
}

// A client whose server crashes, or is restarted by hand, now and then rather
// waits for a few seconds than loses a call. What delays all is not waited for.
func TestAnOwnersBackoffIsWaitedForLongerThanThatOfAll(t *testing.T) {
	e := get(t, newSet(t, clusters.Options{}, command(t, "cat")), "cmd").Endpoints()[0]
	crashed := errors.New("crashed")
	for _, tc := range []struct {
		name     string
		backoff  *clusters.Backoff
		accepted []time.Duration
	}{
		{"owner", new(clusters.Backoff), []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}},
		{"all", e.CommandBackoff(), []time.Duration{time.Second}},
	} {
		owner := new(clusters.Backoff)
		if tc.name == "owner" {
			owner = tc.backoff
		}
		now := time.Now()
		for n := 0; ; n++ {
			tc.backoff.Failed(crashed, now)
			wait, err := e.Delay(owner, now)
			if n == len(tc.accepted) {
				if !errors.Is(err, crashed) || !startedAgain.MatchString(err.Error()) {
					t.Errorf("%s: after %d crashes: got %v", tc.name, n+1, err)
				}
				break
			}
			if err != nil || wait != tc.accepted[n] {
				t.Errorf("%s: after %d crashes: got %v, %v, want %v", tc.name, n+1, wait, err, tc.accepted[n])
			}
			now = now.Add(wait)
		}
	}
}

func TestACommandThatIsMissingIsAnError(t *testing.T) {
	e := get(t, newSet(t, clusters.Options{}, command(t, "no-such-program")), "cmd").Endpoints()[0]
	_, err := e.Start(t.Context())
	if ce := (*clusters.ConnectError)(nil); !errors.As(err, &ce) || !strings.Contains(err.Error(), "in PATH") {
		t.Errorf("got %v", err)
	}
}

func TestStderrIsHandedOnInBoundedLines(t *testing.T) {
	lines := make(chan string, 10)
	trace := &clusters.Trace{Stderr: func(_, line string) { lines <- line }}
	cfg := shell(t, `echo first >&2; head -c 100000 /dev/zero | tr '\0' x >&2; echo >&2; echo last >&2`)
	start(t, get(t, newSet(t, clusters.Options{Trace: trace}, cfg), "cmd").Endpoints()[0])
	if got := <-lines; got != "first" {
		t.Errorf("first line is %q", got)
	}
	if got := <-lines; len(got) != 8<<10 {
		t.Errorf("the long line has %d bytes", len(got))
	}
	if got := <-lines; got != "last" {
		t.Errorf("last line is %q", got)
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
		cfg.ServesMCP = true
		p := newPatient()
		set := newSet(t, clusters.Options{Prober: p}, cfg)
		synctest.Wait()
		if st := get(t, set, "cmd").Status(); !st.Healthy || st.Endpoints[0].ID != "command" || p.count("") != 1 {
			t.Errorf("%+v", st)
		}
	})
}
