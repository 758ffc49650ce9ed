package operations_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

// A service manager kills the process after its timeout, and what has not ended
// by then ends nowhere in order: nothing may take longer, and no process be left.
func TestTheProcessEndsWithinItsShutdownTimeout(t *testing.T) {
	t.Parallel()
	const timeout = 5 * time.Second
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(upstream.Close)
	dir := harness.ShortDir(t)
	pids := filepath.Join(dir, "pids")
	stubborn := harness.WriteFile(t, dir, "stubborn.sh", []byte("trap '' TERM\necho $$ >> "+pids+"\nwhile :; do sleep 1; done\n"))
	g := harness.Start(t, dir, fmt.Sprintf(`
shutdown: {timeout: %s}
listeners: [{name: public, address: "127.0.0.1:0"}]
routes:
  - {match: {path: /mcp}, mcp: {clusters: [stdio]}}
  - {match: {path_prefix: /}, cluster: up}
clusters:
  - {name: up, endpoints: ["%s"]}
  - {name: stdio, command: [sh, "%s"]}
`, timeout, upstream.URL, stubborn))
	base := "http://" + g.Address("public")
	open, err := http.Get(base + "/endless")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Body.Close()
	go func() {
		const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`
		req, err := http.NewRequest(http.MethodPost, base+"/mcp", strings.NewReader(initialize))
		if err != nil {
			t.Error(err)
			return
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream")
		if res, err := http.DefaultClient.Do(req); err == nil {
			res.Body.Close()
		}
	}()
	g.Eventually("the child process to run", func() error {
		_, err := os.Stat(pids)
		return err
	})
	began := time.Now()
	if err := g.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-g.Done:
	case <-time.After(time.Minute):
		t.Fatal("the process does not end")
	}
	// It took five seconds more, and a loaded machine does not take four.
	if took := time.Since(began); took > timeout+4*time.Second {
		t.Errorf("the process ended after %v", took)
	}
	if code := g.Cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	b, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Fields(string(b)) {
		pid, err := strconv.Atoi(line)
		if err != nil {
			t.Fatal(err)
		}
		g.Eventually("the child process to be gone", func() error {
			if syscall.Kill(pid, 0) == nil {
				return fmt.Errorf("process %d is left", pid)
			}
			return nil
		})
	}
}
