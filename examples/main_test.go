package examples

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
)

// patience is how long an event is waited for that will come.
const patience = 30 * time.Second

// bin holds the programs, built once for all tests: mcpgateway, and those of the
// examples in the folder examples, as `make` lays them out. certs has what
// certs.sh makes, which takes seconds.
var bin, certs string

func TestMain(m *testing.M) {
	code, err := testMain(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func testMain(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "examples-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	bin, certs = dir, filepath.Join(dir, "certs")
	if out, err := exec.Command("mtls/certs.sh", certs).CombinedOutput(); err != nil {
		return 1, fmt.Errorf("certs.sh: %w\n%s", err, out)
	}
	for _, args := range [][]string{
		{"build", "-buildvcs=false", "-o", filepath.Join(dir, "mcpgateway"), "../cmd/mcpgateway"},
		{"build", "-buildvcs=false", "-o", filepath.Join(dir, "examples") + "/", "./..."},
	} {
		if err := os.MkdirAll(filepath.Join(dir, "examples"), 0o755); err != nil {
			return 1, err
		}
		cmd := exec.Command("go", args...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return 1, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	code := m.Run()
	if code == 0 {
		http.DefaultClient.CloseIdleConnections()
		if err := goleak.Find(); err != nil {
			return 1, err
		}
	}
	return code, nil
}

// certificates returns a folder of its own with everything that certs.sh makes.
func certificates(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(certs)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// program is a running process of an example.
type program struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  *testkit.Buffer // both its standard output and error
	done chan struct{}
	err  error // how it ended; read after done
}

// run starts a command in the project's folder. It is ended with the test.
func run(t *testing.T, env []string, command ...string) *program {
	t.Helper()
	p := &program{t: t, out: &testkit.Buffer{}, done: make(chan struct{})}
	p.cmd = exec.Command(command[0], command[1:]...)
	p.cmd.Dir = ".."
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.WaitDelay = patience
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("starting %s: %v", command[0], err)
	}
	go func() {
		defer close(p.done)
		p.err = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.done:
		case <-time.After(patience):
			_ = p.cmd.Process.Kill()
			<-p.done
			t.Errorf("%s did not end by SIGTERM", command[0])
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", command[0], p.out)
		}
	})
	return p
}

func (p *program) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("sending %v: %v", s, err)
	}
}

// wait returns the exit code.
func (p *program) wait() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("%s still runs; it said:\n%s", p.cmd.Path, p.out)
	}
	return p.cmd.ProcessState.ExitCode()
}

// says waits until the program has written text.
func (p *program) says(text string) {
	p.t.Helper()
	eventually(p.t, func() error {
		select {
		case <-p.done:
			p.t.Fatalf("%s has ended (%v); it said:\n%s", p.cmd.Path, p.err, p.out)
		default:
		}
		if !strings.Contains(p.out.String(), text) {
			return fmt.Errorf("no %q in\n%s", text, p.out)
		}
		return nil
	})
}

// eventually polls until ok returns nil.
func eventually(t *testing.T, ok func() error) {
	t.Helper()
	testkit.RetryFor(t, patience, "a program of the example", ok)
}

// freePort is a port that no process holds.
func freePort(t *testing.T) string { t.Helper(); return strconv.Itoa(testkit.FreePort(t)) }

// fetch returns the status and the whole body.
func fetch(t *testing.T, client *http.Client, req *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: reading the answer: %v", req.Method, req.URL, err)
	}
	return resp, string(body)
}

func get(t *testing.T, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func post(t *testing.T, url, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	return req
}

// serving waits until url answers 200.
func serving(t *testing.T, p *program, url string) {
	t.Helper()
	eventually(t, func() error {
		select {
		case <-p.done:
			t.Fatalf("%s has ended (%v); it said:\n%s", p.cmd.Path, p.err, p.out)
		default:
		}
		resp, err := http.DefaultClient.Do(get(t, url))
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", url, resp.Status)
		}
		return nil
	})
}
