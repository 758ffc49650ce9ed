package operations_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/proxy/admin"
)

// stalledLog is a pipe that the gateway logs to and that no process reads yet.
func stalledLog(t *testing.T) (e *harness.Edge, reader *os.File) {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close(); writer.Close() })
	return harness.NewEdge(t, func(e *harness.Edge) { e.Stderr = writer }), reader
}

// fillLog sends requests whose access lines have more bytes than the pipe and
// the gateway hold.
func fillLog(e *harness.Edge) {
	e.T.Helper()
	c, base := harness.Client(e.T, e.CA.PEM(), "http/1.1"), e.Base()
	c.Timeout = 10 * time.Second
	pad := strings.Repeat("a", 2000)
	for i := range 900 {
		if status, _, _ := harness.Get(e.T, c, fmt.Sprintf("%s/%d/%s", base, i, pad)); status != http.StatusOK {
			e.T.Fatalf("request %d: status %d", i, status)
		}
	}
}

func TestAStalledReaderOfTheLogHoldsNoRequestAndNoReload(t *testing.T) {
	e, reader := stalledLog(t)
	fillLog(e)
	e.Clusters = "  - {name: other, endpoints: [\"http://127.0.0.1:1\"]}"
	if o := e.Apply(e.YAML()); o.Result != admin.Applied {
		t.Fatalf("reload: %s", o.Result)
	}
	metrics, err := e.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	dropped := 0
	for line := range strings.Lines(metrics) {
		_, _ = fmt.Sscanf(line, "mcpgateway_log_lines_dropped_total %d", &dropped)
	}
	if dropped == 0 {
		t.Error("no dropped line is counted")
	}

	// Once the pipe is read again, the log says what is missing.
	lines := bufio.NewReader(reader)
	last, reloaded := -1, false
	for told := false; !told || !reloaded; {
		if err := reader.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		text, err := lines.ReadBytes('\n')
		if err != nil {
			t.Fatalf("told %v, reloaded %v: %v", told, reloaded, err)
		}
		var line struct {
			Message, Path string
			Dropped       int
		}
		if err := json.Unmarshal(text, &line); err != nil {
			t.Fatalf("torn line %q: %v", text, err)
		}
		told = told || line.Dropped > 0
		reloaded = reloaded || strings.HasPrefix(line.Message, "generation 2:")
		i := -1
		if _, err := fmt.Sscanf(line.Path, "/api/%d/", &i); err == nil {
			if i <= last {
				t.Fatalf("request %d stands behind request %d", i, last)
			}
			last = i
		}
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }() // until the pipe is closed
}

func TestAStalledReaderOfTheLogHoldsNoStop(t *testing.T) {
	e, _ := stalledLog(t)
	fillLog(e)
	if err := e.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-e.Done:
	case <-time.After(20 * time.Second):
		t.Fatal("the gateway does not end")
	}
	if code := e.Cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
