package process_test

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
	"time"

	"go.uber.org/goleak"

	"github.com/mcpgateway/mcpgateway/clusters/process"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/config"
)

func TestMain(m *testing.M) {
	if os.Getenv(parentOfOrphan) != "" {
		beParentOfOrphan()
		return
	}
	goleak.VerifyTestMain(m)
}

// command returns a command that may run many processes at a time.
func command(argv ...string) *process.Command {
	return limited(32, 10*time.Second, process.Settings{Argv: argv})
}

// limited returns a command with limits of its own.
func limited(most int, patience time.Duration, s process.Settings) *process.Command {
	s.Cluster = "cmd"
	if s.Environ == nil {
		s.Environ = process.Environ(os.Environ(), nil)
	}
	c := process.NewCommand(s)
	c.SetLimits(most, patience)
	return c
}

func shell(script string) *process.Command { return command("sh", "-c", script) }

// startFor starts a process that lives no longer than the test.
func startFor(t testing.TB, c *process.Command, owner process.Owner) *process.Process {
	t.Helper()
	p, err := c.Start(t.Context(), owner, func() {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(p) })
	return p
}

func start(t testing.TB, c *process.Command) *process.Process {
	t.Helper()
	return startFor(t, c, process.Owner{})
}

func running(c *process.Command) int { n, _, _ := c.Count(); return n }
func waiting(c *process.Command) int { _, _, n := c.Count(); return n }

func kill(p *process.Process) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p.Stop(ctx)
}

func TestAProcessTalksOverItsPipes(t *testing.T) {
	files := descriptors(t)
	c := command("cat")
	p := start(t, c)
	fmt.Fprintln(p.Stdin, "hello")
	if line, err := bufio.NewReader(p.Stdout).ReadString('\n'); err != nil || line != "hello\n" {
		t.Errorf("heard %q, %v", line, err)
	}
	if n := running(c); n != 1 {
		t.Errorf("%d processes", n)
	}
	p.Stop(t.Context()) // cat ends with its stdin
	if !errors.Is(p.Err(), process.ErrStopped) {
		t.Errorf("ended with %v", p.Err())
	}
	if _, err := p.Stdout.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("stdout ended with %v", err)
	}
	testkit.Eventually(t, "descriptors are gone", func() bool { return descriptors(t) <= files })
}

func TestChildrenGetNoneOfTheGatewaysSecrets(t *testing.T) {
	dir := t.TempDir()
	base := []string{"PATH=" + os.Getenv("PATH"), "HOME=/home/x", "LANG=de", "SECRET=s3cret"}
	environ := process.Environ(base, map[string]config.Value{"OWN": {Text: "1"}, "LANG": {Text: "C.UTF-8"}})
	p := start(t, limited(1, 0, process.Settings{Argv: []string{"sh", "-c", "env; pwd"}, Dir: dir, Environ: environ}))
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
			p := start(t, shell(script))
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
			testkit.Eventually(t, "the grandchild is gone", func() bool { return gone(grandchild) })
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
	c := shell("trap '' TERM; echo $$; while :; do sleep 1; done")
	p, err := c.Start(context.Background(), process.Owner{}, func() {})
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
	testkit.Eventually(t, "the child is gone", func() bool { return gone(child) })
}

func TestMaxProcessesIsABound(t *testing.T) {
	c := limited(2, 0, process.Settings{Argv: []string{"cat"}})
	first := start(t, c)
	start(t, c)
	if _, err := c.Start(t.Context(), process.Owner{}, func() {}); !errors.Is(err, process.ErrOverflow) || !strings.Contains(err.Error(), "max_processes (2)") {
		t.Errorf("got %v", err)
	}
	first.Stop(t.Context())
	start(t, c)
}

var startedAgain = regexp.MustCompile(`started again in [0-9]+s`)

func TestACommandThatFailsIsStartedLessAndLess(t *testing.T) {
	var mu sync.Mutex
	var events []string
	trace := process.Trace{Event: func(_ string, event process.Event, _ error) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, string(event))
	}}
	c := limited(32, time.Second, process.Settings{Argv: []string{"sh", "-c", "exit 3"}, Trace: trace})
	again := func() (*process.Process, error) {
		return c.Start(t.Context(), process.Owner{}, func() {})
	}
	// The second start waits for a moment. The third one is refused, unless so
	// much time has passed that it waits too: the delay doubles.
	starts := 0
	p, err := again()
	for ; err == nil && starts < 7; p, err = again() {
		starts++
		<-p.Done()
		if err := p.Err(); err == nil || !strings.Contains(err.Error(), "exit status 3") {
			t.Errorf("ended with %v", err)
		}
	}
	if starts < 2 {
		t.Errorf("the command was started %d times", starts)
	}
	if err == nil || !startedAgain.MatchString(err.Error()) || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v", err)
	}
	testkit.Eventually(t, "events", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(events, " ") == strings.TrimSpace(strings.Repeat("started exited ", starts))
	})
}

// A process that crashes while it serves says nothing about those of others; one
// that does not get as far does, unless others serve.
func TestTheBackoffBelongsToTheOwner(t *testing.T) {
	c := command("cat")
	at := func(owner *process.Backoff) *process.Process {
		t.Helper()
		return startFor(t, c, process.Owner{Backoff: owner})
	}
	crash := func(p *process.Process) {
		p.Stdin.Close()
		<-p.Done()
	}
	began := time.Now() // the delays begin later
	delayed := func(owner *process.Backoff) bool {
		wait, _ := c.Delay(owner, began)
		return wait > 0
	}
	var one, other, third process.Backoff
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
	if delayed(new(process.Backoff)) || !delayed(&other) {
		t.Error("a start that fails beside a process that serves does not delay its owner alone")
	}
	kill(p)
	crash(at(new(process.Backoff)))
	if !delayed(new(process.Backoff)) {
		t.Error("starts that fail do not delay the cluster's")
	}
}

// A client whose server crashes, or is restarted by hand, now and then rather
// waits for a few seconds than loses a call. What delays all is not waited for.
func TestAnOwnersBackoffIsWaitedForLongerThanThatOfAll(t *testing.T) {
	c := command("cat")
	crashed := errors.New("crashed")
	for _, tc := range []struct {
		name     string
		backoff  *process.Backoff
		accepted []time.Duration
	}{
		{"owner", new(process.Backoff), []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}},
		{"all", c.Backoff(), []time.Duration{time.Second}},
	} {
		owner := new(process.Backoff)
		if tc.name == "owner" {
			owner = tc.backoff
		}
		now := time.Now()
		for n := 0; ; n++ {
			tc.backoff.Failed(crashed, now)
			wait, err := c.Delay(owner, now)
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
	c := command("no-such-program")
	if _, err := c.Start(t.Context(), process.Owner{}, func() {}); err == nil || !strings.Contains(err.Error(), "in PATH") {
		t.Errorf("got %v", err)
	}
}

func TestStderrIsHandedOnInBoundedLines(t *testing.T) {
	lines := make(chan string, 10)
	script := `echo first >&2; head -c 100000 /dev/zero | tr '\0' x >&2; echo >&2; echo last >&2`
	trace := process.Trace{Stderr: func(_, line string) { lines <- line }}
	start(t, limited(1, 0, process.Settings{Argv: []string{"sh", "-c", script}, Trace: trace}))
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

// descriptors counts this process's open files.
func descriptors(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
