package memory_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/proxy/admin"
)

const (
	memoryLimit = 64 << 20
	// residentLimit is what the process may take at the limit: the runtime and
	// garbage come on top of it. A cgroup has as much (memory.limit is 80 % of it).
	residentLimit = memoryLimit * 5 / 4
)

// newSmallWorld is a world whose gateway may use little memory.
func newSmallWorld(t *testing.T, edit ...func(*harness.World)) *harness.World {
	t.Helper()
	w := harness.NewWorld(t)
	w.More = "memory: {limit: 64MiB}\nlog: {access: false}\n"
	for _, f := range edit {
		f(w)
	}
	if o := w.Apply(w.YAML()); o.Result != admin.Applied {
		t.Fatalf("%+v", o)
	}
	return w
}

// resident is what the process has of the machine's memory, without its code.
func resident(g *harness.Gateway) (bytes int) {
	g.T.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.Cmd.Process.Pid))
	if err != nil {
		g.T.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if n, _ := fmt.Sscanf(line, "RssAnon: %d kB", &bytes); n == 1 {
			return bytes << 10
		}
	}
	g.T.Fatal("the system does not say what is resident")
	return 0
}

// besieged is a world some of whose clients take what memory they can get.
type besieged struct {
	*harness.World
	t       *testing.T
	hc      *http.Client
	highest int
}

func besiege(t *testing.T, w *harness.World) *besieged {
	t.Helper()
	b := &besieged{World: w, t: t, hc: harness.Client(t, w.CA.PEM(), "h2")}
	b.look() // from here on its connections, and those behind the gateway, are there
	return b
}

// look makes sure that the process stays within its bounds, and that it answers
// others, with 503 at worst.
func (b *besieged) look() {
	b.t.Helper()
	b.highest = max(b.highest, resident(b.World.Gateway))
	if b.highest > residentLimit {
		b.t.Fatalf("%d MiB are resident", b.highest>>20)
	}
	const call = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	if res, answer := b.PostMCP(b.t, b.hc, call); !served(res) {
		b.t.Errorf("another client's call: %d %v %s", res.StatusCode, res.Header, answer)
	}
	res, err := b.hc.Get("https://" + b.Address("public") + "/health")
	if err != nil {
		b.t.Fatalf("health: %v", err)
	}
	res.Body.Close()
	if !served(res) && res.StatusCode != http.StatusServiceUnavailable {
		b.t.Errorf("health: %d", res.StatusCode)
	}
}

// served reports whether a request was answered, or is to be sent again later.
func served(res *http.Response) bool {
	return res.StatusCode == http.StatusOK || res.StatusCode == http.StatusServiceUnavailable && res.Header.Get("Retry-After") != ""
}

// relieved waits until what was charged is returned, and the process is small.
func (b *besieged) relieved() {
	b.t.Helper()
	b.Eventually("the memory to be returned", func() error {
		m := b.Status().Memory
		if n := m.Charged["body"] + m.Charged["answer"] + m.Charged["stream"]; n > 0 || m.Level != "normal" {
			return fmt.Errorf("%+v", m)
		}
		if n := resident(b.World.Gateway); n > residentLimit/2 {
			return fmt.Errorf("%d MiB are resident", n>>20)
		}
		return nil
	})
	const call = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	if res, answer := b.PostMCP(b.t, b.hc, call); res.StatusCode != http.StatusOK {
		b.t.Errorf("a call afterwards: %d %s", res.StatusCode, answer)
	}
	b.t.Logf("at most %d MiB were resident", b.highest>>20)
}

// unfinished is a body of which all but the end has come.
type unfinished struct {
	left int
	sent func()
	end  context.Context
}

func (u *unfinished) Read(p []byte) (int, error) {
	if u.left == 0 {
		u.sent()
		<-u.end.Done()
		return 0, io.ErrUnexpectedEOF
	}
	n := min(len(p), u.left)
	for i := range p[:n] {
		p[i] = ' '
	}
	u.left -= n
	return n, nil
}

func TestUnfinishedBodiesTakeNoMoreThanThereIs(t *testing.T) {
	for _, c := range []struct {
		protocol string
		bodies   int
	}{{"h2", 100}, {"http/1.1", 300}} {
		t.Run(c.protocol, func(t *testing.T) {
			b := besiege(t, newSmallWorld(t))
			hc := harness.Client(t, b.CA.PEM(), c.protocol)
			url := "https://" + b.Address("public") + "/mcp"
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			var settled, all sync.WaitGroup
			var mu sync.Mutex
			refused := 0
			for range c.bodies {
				settled.Add(1)
				over := sync.OnceFunc(settled.Done)
				body := &unfinished{left: 3_900_000, sent: over, end: ctx}
				all.Go(func() {
					req, _ := http.NewRequestWithContext(ctx, http.MethodPost, url, io.NopCloser(body))
					req.ContentLength = 4_000_000
					req.Header.Set("Content-Type", "application/json")
					req.Header.Set("Accept", "application/json, text/event-stream")
					res, err := hc.Do(req)
					defer over()
					if err != nil || ctx.Err() != nil {
						return // it was let in; or HTTP/1.1 was answered while it sent the body
					}
					answer, _ := io.ReadAll(res.Body)
					res.Body.Close()
					if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" || !strings.Contains(string(answer), `"overload_manager"`) {
						t.Errorf("%d %v %s", res.StatusCode, res.Header, answer)
					}
					mu.Lock()
					refused++
					mu.Unlock()
				})
			}
			done := make(chan struct{})
			go func() { settled.Wait(); close(done) }()
			for waiting := true; waiting; {
				select {
				case <-done:
					waiting = false
				case <-time.After(100 * time.Millisecond):
				}
				b.look()
			}
			cancel()
			all.Wait()
			if refused == 0 {
				t.Error("none was refused")
			}
			b.relieved()
		})
	}
}

// Sessions that no client uses give way to new ones, where memory is short.
func TestThousandsOfAnonymousSessionsTakeNoMoreThanThereIs(t *testing.T) {
	b := besiege(t, newSmallWorld(t))
	initialize := `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"` +
		strings.Repeat("x", 24<<10) + `","version":"1"}}}`
	hc := harness.Client(t, b.CA.PEM(), "h2")
	const sessions = 1500
	for range sessions / 100 {
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if res, answer := b.PostMCP(t, hc, initialize); res.StatusCode != http.StatusOK {
					t.Errorf("%d %s", res.StatusCode, answer)
				}
			})
		}
		all.Wait()
		b.look()
	}
	if s := b.Status(); s.Sessions < sessions/2 || s.Sessions > sessions*4/5 || s.Memory.Charged["session"] == 0 {
		t.Errorf("%d sessions are left: %+v", s.Sessions, s.Memory)
	}
	t.Logf("at most %d MiB were resident", b.highest>>20)
}
