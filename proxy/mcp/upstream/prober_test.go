package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

var _ clusters.Prober = (*Prober)(nil)

func newProbe(t *testing.T, c *clusters.Cluster, e *clusters.Endpoint) (check func() error) {
	p := (&Prober{Client: new(Client)}).NewProbe(c, e)
	t.Cleanup(func() { p.Close(context.Background()) })
	return func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		return p.Check(ctx)
	}
}

func TestProbeKeepsOneSession(t *testing.T) {
	f := newFake(t)
	status, pings := 200, 0
	f.post = func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
		if pings++; m.Method() != "ping" {
			t.Errorf("the server got %s", m.Raw())
		}
		if status != 200 {
			w.WriteHeader(status)
			return
		}
		answerJSON(w, jsonrpc.NewResult(m.ID(), nil))
	}
	c, e := cluster(t, at(f.URL))
	p := (&Prober{Client: new(Client)}).NewProbe(c, e)
	check := func() error { return p.Check(t.Context()) }
	for range 3 {
		if err := check(); err != nil {
			t.Fatal(err)
		}
	}
	if f.sessions != 1 || pings != 2 {
		t.Errorf("%d sessions, %d pings", f.sessions, pings)
	}
	status = 404
	if err := check(); err != nil || f.sessions != 2 {
		t.Errorf("after the loss: %v, %d sessions", err, f.sessions)
	}
	for _, status = range []int{400, 403, 410, 500, 503} {
		before := f.sessions
		if err := check(); err != nil || f.sessions != before+1 {
			t.Errorf("%d: %v, %d sessions after %d", status, err, f.sessions, before)
		}
	}
	p.Close(t.Context())
	p.Close(t.Context())
	if n := len(f.seen(http.MethodDelete)); n != 1 {
		t.Errorf("%d DELETEs", n)
	}
}

// What is known about a server without sessions is enough to make a session, and
// says nothing of its health.
func TestAServerWithoutSessionsIsAskedAtEachCheck(t *testing.T) {
	var gone atomic.Bool
	f := newModernFake(t, nil)
	answer := f.any
	f.any = func(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message) {
		if gone.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		answer(w, r, m)
	}
	c, e := cluster(t, at(f.URL))
	prober := &Prober{Client: new(Client)}
	probe := prober.NewProbe(c, e)
	t.Cleanup(func() { probe.Close(context.Background()) })
	for range 2 {
		if err := probe.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	gone.Store(true)
	for range 2 {
		if err := probe.Check(t.Context()); err == nil {
			t.Error("the check does not notice that the server answers 503")
		}
	}
	later := prober.NewProbe(c, e)
	t.Cleanup(func() { later.Close(context.Background()) })
	if err := later.Check(t.Context()); err == nil {
		t.Error("the first check after a reload does not notice it")
	}
	gone.Store(false)
	if err := probe.Check(t.Context()); err != nil {
		t.Errorf("the server is back: %v", err)
	}
	f.Close()
	if err := probe.Check(t.Context()); err == nil {
		t.Error("the check does not notice that there is no server")
	}
}

// An endpoint that has served the revision without sessions goes back to an older
// program: each one says in its own way that it does not know server/discover.
func TestAServerThatIsReplacedByAnOlderOneIsInitialised(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter, r *http.Request){
		"400 in plain text": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "Bad Request: Missing session ID", 400) },
		"400 in JSON-RPC": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(400)
			_, _ = w.Write(jsonrpc.NewError(jsonrpc.ID{}, -32000, "Bad Request: Server not initialized", nil))
		},
		"404":       func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no such session", 404) },
		"no answer": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var older atomic.Bool
			f := newModernFake(t, nil)
			newer := f.any
			old := &fake{t: t, version: "2025-06-18", post: func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
				answerJSON(w, jsonrpc.NewResult(m.ID(), nil))
			}}
			f.any = func(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message) {
				switch {
				case !older.Load():
					newer(w, r, m)
				case m.Method() != "initialize" && r.Header.Get(spec.HeaderSession) == "":
					answer(w, r)
				default:
					old.answer(w, r, m)
				}
			}
			c, e := cluster(t, at(f.URL))
			known := new(Client)
			probe := (&Prober{Client: known}).NewProbe(c, e)
			t.Cleanup(func() { probe.Close(context.Background()) })
			remember := func(o *settings) { o.client = known }
			if err := probe.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			s := mustOpen(t, c, e, remember, asModern)
			older.Store(true)
			if name != "no answer" {
				if _, err := s.call("tools/list"); !errors.Is(err, ErrSessionLost) {
					t.Errorf("a call: %v", err)
				}
				if s := mustOpen(t, c, e, remember, asModern); s.Server().Modern() {
					t.Error("a new session does not ask the server again")
				}
			}
			check := func() error {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				return probe.Check(ctx)
			}
			if err := check(); err != nil {
				t.Errorf("the check: %v", err)
			}
			if serves, _ := known.Serves(c); slices.Contains(serves, spec.Modern) {
				t.Errorf("it is said to serve %q", serves)
			}
			if err := check(); err != nil {
				t.Errorf("the second check: %v", err)
			}
		})
	}
}

// A server that is down, or has its moment, is what it was.
func TestAServerThatIsDownStaysWhatItWas(t *testing.T) {
	var down atomic.Bool
	f := newModernFake(t, nil)
	answer := f.any
	f.any = func(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message) {
		if down.Load() {
			http.Error(w, "no route to the server", 404)
			return
		}
		answer(w, r, m)
	}
	c, e := cluster(t, at(f.URL))
	known := new(Client)
	probe := (&Prober{Client: known}).NewProbe(c, e)
	t.Cleanup(func() { probe.Close(context.Background()) })
	if err := probe.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	down.Store(true)
	if err := probe.Check(t.Context()); err == nil {
		t.Error("the check does not notice that nothing answers")
	}
	if serves, _ := known.Serves(c); !slices.Contains(serves, spec.Modern) {
		t.Errorf("it is said to serve %q", serves)
	}
	down.Store(false)
	if err := probe.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAnyJSONRPCAnswerIsHealthy(t *testing.T) {
	for body, status := range map[string]int{
		`{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no initialize here"}}`:       200,
		`{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2099-01-01"}}`:                    200,
		`{"jsonrpc":"2.0","id":null,"error":{"code":-32022,"message":"unsupported version"}}`:   400,
		`{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"method not found, really"}}`: 404,
	} {
		p := plainPeer(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		})
		c, e := cluster(t, at(p.URL))
		if err := newProbe(t, c, e)(); err != nil {
			t.Errorf("%d %s: %v", status, body, err)
		}
	}
}

func TestProbeTellsWhatIsWrong(t *testing.T) {
	p := plainPeer(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	c, e := cluster(t, at(p.URL))
	if err := newProbe(t, c, e)(); !errors.Is(err, clusters.ErrUnauthorized) {
		t.Errorf("401: %v", err)
	}
	c, e = cluster(t, at("http://127.0.0.1:1/mcp"))
	if err := newProbe(t, c, e)(); err == nil {
		t.Error("a closed port is healthy")
	}
}

func TestProbeOverEveryTransport(t *testing.T) {
	streamable := strictPeer(t, "h2", streamableHandler(newServer(newHangs()), nil))
	sse := strictPeer(t, "http/1.1", sseHandler(newServer(newHangs())))
	for name, change := range map[string]func(*clusters.Config){
		"streamable HTTP": streamable.at("/mcp"),
		"HTTP+SSE":        sse.at("/sse"),
		"stdio":           func(c *clusters.Config) { command("stdio-server")(c); c.MaxProcesses = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			c, e := cluster(t, change)
			check := newProbe(t, c, e)
			for range 3 {
				if err := check(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestProbeLeavesTheProcessesToTheSessions(t *testing.T) {
	for _, most := range []int{1, 2} {
		c, e := cluster(t, func(c *clusters.Config) { command("stdio-server")(c); c.MaxProcesses = most })
		check := newProbe(t, c, e)
		if err := check(); err != nil {
			t.Fatal(err)
		}
		mustOpen(t, c, e)
		if err := check(); err != nil {
			t.Errorf("%d processes: %v", most, err)
		}
		// A later generation's, when all that may run do.
		if err := newProbe(t, c, e)(); err != nil {
			t.Errorf("%d processes: %v", most, err)
		}
	}
}

func TestAServerThatAnswersNoPingStaysHealthyAndKeepsItsSession(t *testing.T) {
	for name, ping := range map[string]func(http.ResponseWriter, *http.Request){
		"silence": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"404":     func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no route", http.StatusNotFound) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			var begun, listed atomic.Int64
			f.any = func(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message) {
				switch m.Method() {
				case "initialize":
					w.Header().Set(spec.HeaderSession, fmt.Sprint(begun.Add(1)))
					answerJSON(w, jsonrpc.NewResult(m.ID(), []byte(`{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"fake","version":"0"}}`)))
				case "server/discover":
					answerJSON(w, jsonrpc.NewError(m.ID(), jsonrpc.CodeMethodNotFound, "no such method", nil))
				case "ping":
					ping(w, r)
				case "tools/list":
					listed.Add(1)
					answerJSON(w, jsonrpc.NewResult(m.ID(), []byte(`{"tools":[]}`)))
				default:
					w.WriteHeader(http.StatusAccepted)
				}
			}
			c, e := cluster(t, at(f.URL))
			p := (&Prober{Client: new(Client)}).NewProbe(c, e)
			defer p.Close(context.Background())
			for n := range 4 {
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				if err := p.Check(ctx); err != nil {
					t.Errorf("check %d: %v", n, err)
				}
				cancel()
			}
			if begun.Load() != 2 || listed.Load() != 2 {
				t.Errorf("initialised %d times, listed %d times", begun.Load(), listed.Load())
			}
		})
	}
}
