package mcp_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
)

// amnesiac is a server of the official SDK that forgets its sessions when it
// is restarted, and says so in the words of other servers.
type amnesiac struct {
	mu      sync.Mutex
	server  *mcp.Server
	handler http.Handler
	known   map[string]bool // the sessions since the last start
	kept    int             // requests in them
	status  int
	words   string
}

func (f *amnesiac) restart(status int, words string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.handler, f.known, f.kept = harness.Streamable(f.server), map[string]bool{}, 0
	f.status, f.words = status, words
}

// served returns how many requests named a session that began since the start.
func (f *amnesiac) served() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.kept
}

func (f *amnesiac) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("Mcp-Session-Id")
	f.mu.Lock()
	handler, known, status, words := f.handler, f.known[id], f.status, f.words
	if known {
		f.kept++
	}
	f.mu.Unlock()
	if id != "" && !known {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, words)
		return
	}
	handler.ServeHTTP(&noting{w, f}, r)
}

// noting notes the session that an answer begins.
type noting struct {
	http.ResponseWriter
	f *amnesiac
}

func (n *noting) note() {
	if id := n.Header().Get("Mcp-Session-Id"); id != "" {
		n.f.mu.Lock()
		defer n.f.mu.Unlock()
		n.f.known[id] = true
	}
}

func (n *noting) WriteHeader(status int) { n.note(); n.ResponseWriter.WriteHeader(status) }

func (n *noting) Write(b []byte) (int, error) { n.note(); return n.ResponseWriter.Write(b) }

func (n *noting) Unwrap() http.ResponseWriter { return n.ResponseWriter }

func (n *noting) Flush() { n.note(); _ = http.NewResponseController(n.ResponseWriter).Flush() }

func TestARestartedServerIsUnseenWhateverItSaysOfItsSessions(t *testing.T) {
	t.Parallel()
	w := harness.NewWorld(t)
	f := &amnesiac{server: harness.NewTools("one")}
	f.restart(0, "")
	w.One = w.Serve(t, f)
	w.Members = "one, two"
	w.MustApply(w.YAML())
	healthy := func() error {
		for _, c := range w.Status().Clusters {
			for _, e := range c.Endpoints {
				if e.Health != "healthy" {
					return fmt.Errorf("%s is %s: %s", e.Address, e.Health, e.Error)
				}
			}
		}
		return nil
	}
	testkit.Retry(t, "healthy endpoints", healthy)
	c := w.Connect(t, "")
	call := func() error { return c.Call(context.Background(), "one__echo") }
	if err := call(); err != nil {
		t.Fatal(err)
	}
	for status, words := range map[int]string{
		400: "Bad Request: No valid session ID provided",
		403: "Forbidden", 404: "session not found", 410: "Gone",
		500: "<h1>Internal Server Error</h1>", 503: "",
	} {
		f.restart(status, words)
		if names := c.ToolNames(t); !slices.Contains(names, "one__echo") {
			t.Errorf("%d: a list after a restart has %v", status, names)
		}
		if err := call(); err != nil {
			t.Errorf("%d: a call after that: %v", status, err)
		}
		f.restart(status, words)
		if err := call(); (err == nil) != (status < 500) {
			t.Errorf("%d: a call after a restart: %v", status, err)
		}
		if err := call(); err != nil {
			t.Errorf("%d: the next call: %v", status, err)
		}
		// The health check begins a session of its own, and keeps it.
		before := f.served()
		testkit.Retry(t, "health checks after the restart", func() error {
			if n := f.served() - before; n < 3 {
				return fmt.Errorf("%d requests", n)
			}
			return healthy()
		})
	}
}
