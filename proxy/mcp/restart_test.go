package mcp

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

// refusal is how a server answers a request of a session that it does not know.
type refusal struct {
	status int
	kind   string
	body   string // ID stands for the request's id
}

// refusals are the words of servers in the world, and all other statuses that
// they are known to use.
var refusals = map[string]refusal{
	"Python until 1.25": {400, "text/plain", "Bad Request: No valid session ID provided"},
	"400 in plain text": {400, "text/plain", "Bad Request"},
	"400 in JSON-RPC":   {400, "application/json", `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: Server not initialized"}}`},
	"400 with the id":   {400, "application/json", `{"jsonrpc":"2.0","id":ID,"error":{"code":-32600,"message":"Invalid Request"}}`},
	"400 for params":    {400, "application/json", `{"jsonrpc":"2.0","id":ID,"error":{"code":-32602,"message":"Invalid session"}}`},
	"404 for params":    {404, "application/json", `{"jsonrpc":"2.0","id":ID,"error":{"code":-32602,"message":"Session not found"}}`},
	"401":               {401, "text/plain", "Unauthorized: Session not found"},
	"403":               {403, "text/plain", "Forbidden"},
	"404":               {404, "text/plain", "session not found"},
	"410":               {410, "text/plain", "Gone"},
	"500":               {500, "text/html", "<h1>Internal Server Error</h1>"},
	"500 in JSON-RPC":   {500, "application/json", `{"jsonrpc":"2.0","id":"server-error","error":{"code":-32603,"message":"Error handling POST request"}}`},
	"503":               {503, "text/plain", ""},
	"503 with the id":   {503, "application/json", `{"jsonrpc":"2.0","id":ID,"error":{"code":-32603,"message":"no such session"}}`},
}

// restartable is a server with sessions that it forgets when it is restarted.
type restartable struct {
	url     string
	refusal refusal

	mu       sync.Mutex
	sessions map[string]bool
	begun    int
	called   int  // tools/call that were carried out
	strict   bool // no session is served, not even a new one
	open     bool // it gives no session ids, and wants none
}

func newRestartable(t testing.TB, how refusal) *restartable {
	s := &restartable{refusal: how, sessions: map[string]bool{}}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	s.url = srv.URL + "/mcp"
	return s
}

func (s *restartable) restart(strict bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions, s.strict = map[string]bool{}, strict
}

func (s *restartable) count() (begun, called int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begun, s.called
}

func (s *restartable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	body, _ := io.ReadAll(r.Body)
	m, err := jsonrpc.Parse(body)
	if err != nil {
		return // DELETE
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	answer := func(result string) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(jsonrpc.NewResult(m.ID(), []byte(result)))
	}
	id := r.Header.Get(spec.HeaderSession)
	switch {
	case m.Method() == "initialize":
		s.begun++
		id = fmt.Sprint("session-", s.begun)
		if !s.open {
			s.sessions[id] = true
			w.Header().Set(spec.HeaderSession, id)
		}
		answer(`{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"restartable","version":"1"}}`)
	case m.Kind() != jsonrpc.Request && (s.sessions[id] || s.open):
		w.WriteHeader(http.StatusAccepted)
	case !s.sessions[id] && !s.open || s.strict:
		w.Header().Set("Content-Type", s.refusal.kind)
		w.WriteHeader(s.refusal.status)
		_, _ = io.WriteString(w, strings.ReplaceAll(s.refusal.body, "ID", m.ID().Raw()))
	case m.Method() == "tools/list":
		answer(`{"tools":[{"name":"count","inputSchema":{"type":"object"}}]}`)
	case m.Method() == "tools/call" && m.Params().Get("name").String() == "forbidden":
		w.WriteHeader(http.StatusForbidden)
	case m.Method() == "tools/call":
		s.called++
		answer(`{"content":[{"type":"text","text":"counted"}]}`)
	default:
		answer(`{}`)
	}
}

const countBody = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"%scount","arguments":{}}}`

func TestRestartedServerIsInitialisedAnewWhateverItSays(t *testing.T) {
	for name, how := range refusals {
		for _, members := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s/%d", name, members), func(t *testing.T) {
				t.Parallel()
				s := newRestartable(t, how)
				backends, prefix := []backend{{name: "alpha", endpoints: []string{s.url}, protocol: "2025-11-25"}}, ""
				if members == 2 {
					other := newRestartable(t, how)
					backends, prefix = append(backends, backend{name: "beta", endpoints: []string{other.url}, protocol: "2025-11-25"}), "alpha__"
				}
				g := newGateway(t, nil, backends...)
				id := g.initialize()
				if _, body := g.post(listBody, spec.HeaderSession, id); !strings.Contains(body, prefix+"count") {
					t.Fatal(body)
				}
				begun, _ := s.count()

				s.restart(false)
				if _, body := g.post(listBody, spec.HeaderSession, id); !strings.Contains(body, prefix+"count") || strings.Contains(body, "unavailable") {
					t.Errorf("a list after a restart: %s", body)
				}
				if n, _ := s.count(); n != begun+1 {
					t.Errorf("initialised %d times", n-begun)
				}

				s.restart(false)
				_, body := g.post(fmt.Sprintf(countBody, prefix), spec.HeaderSession, id)
				begunNow, called := s.count()
				if repeated := strings.Contains(body, "counted"); repeated != (how.status < 500) || called > 1 {
					t.Errorf("a call after a restart, called %d times: %s", called, body)
				}
				if begunNow > begun+2 {
					t.Errorf("initialised %d times", begunNow-begun)
				}
				if _, body := g.post(fmt.Sprintf(countBody, prefix), spec.HeaderSession, id); !strings.Contains(body, "counted") {
					t.Errorf("the call after that: %s", body)
				}
				if n, _ := s.count(); n != begun+2 {
					t.Errorf("initialised %d times", n-begun)
				}
			})
		}
	}
}

func TestServerThatBeginsToWantSessionsGetsThem(t *testing.T) {
	for name, how := range map[string]refusal{
		"in plain text": {400, "text/plain", "Bad Request: Missing session ID"},
		"in JSON-RPC":   {400, "application/json", `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: Mcp-Session-Id header is required"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newRestartable(t, how)
			s.open = true
			g := newGateway(t, nil, backend{name: "alpha", endpoints: []string{s.url}, protocol: "2025-11-25"})
			id := g.initialize()
			call := func() {
				t.Helper()
				if _, body := g.post(fmt.Sprintf(countBody, ""), spec.HeaderSession, id); !strings.Contains(body, "counted") {
					t.Error(body)
				}
			}
			call()
			before, _ := s.count()
			s.mu.Lock()
			s.open = false
			s.mu.Unlock()
			call()
			call()
			if n, called := s.count(); n != before+1 || called != 3 {
				t.Errorf("initialised %d times, called %d times", n-before, called)
			}
		})
	}
}

func TestServerThatRefusesNewSessionsTooIsAskedOnceMore(t *testing.T) {
	for name, how := range refusals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newRestartable(t, how)
			g := newGateway(t, nil, backend{name: "alpha", endpoints: []string{s.url}, protocol: "2025-11-25"})
			id := g.initialize()
			g.post(listBody, spec.HeaderSession, id)
			s.restart(true)
			before, _ := s.count()
			_, body := g.post(listBody, spec.HeaderSession, id)
			if !strings.Contains(body, `"error"`) {
				t.Error(body)
			}
			if n, _ := s.count(); n != before+1 {
				t.Errorf("initialised %d times", n-before)
			}
			if strings.Contains(how.body, "ID") && !strings.Contains(body, `"id":1`) {
				t.Errorf("the answer has another id: %s", body)
			}
		})
	}
}

func TestSessionInWhichOneCallIsForbiddenGoesOn(t *testing.T) {
	s := newRestartable(t, refusals["403"])
	g := newGateway(t, nil, backend{name: "alpha", endpoints: []string{s.url}, protocol: "2025-11-25"})
	id := g.initialize()
	for range 2 {
		if _, body := g.post(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"forbidden","arguments":{}}}`, spec.HeaderSession, id); !strings.Contains(body, `"error"`) {
			t.Error(body)
		}
	}
	if begun, _ := s.count(); begun != 1 {
		t.Errorf("initialised %d times, and what the server kept in the session is lost", begun)
	}
}

func TestHealthCheckInitialisesAnewAfterARestart(t *testing.T) {
	for name, how := range refusals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newRestartable(t, how)
			g := newGateway(t, nil, backend{name: "alpha", endpoints: []string{s.url}, protocol: "2025-11-25"})
			cluster, _ := g.set.Get("alpha")
			var probe clusters.Probe = (&upstream.Prober{Client: new(upstream.Client)}).NewProbe(cluster, cluster.Endpoints()[0])
			ctx := within(t)
			defer probe.Close(ctx)
			for range 3 {
				if err := probe.Check(ctx); err != nil {
					t.Error(err)
				}
				if err := probe.Check(ctx); err != nil {
					t.Error(err)
				}
				s.restart(false)
			}
			if begun, _ := s.count(); begun != 3 {
				t.Errorf("%d sessions", begun)
			}
		})
	}
}

// A server without sessions looks for none before it acts: what it answers to a
// call says nothing about whether it has acted.
func TestACallThatAServerWithoutSessionsRefusesIsNotSentAgain(t *testing.T) {
	for _, status := range []int{http.StatusBadRequest, http.StatusNotFound, http.StatusGone} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			var calls atomic.Int32
			url := newScript(t, func(w http.ResponseWriter, m *jsonrpc.Message) {
				w.Header().Set("Content-Type", "application/json")
				switch m.Method() {
				case spec.ServerDiscover:
					_, _ = w.Write(jsonrpc.NewResult(m.ID(), []byte(`{"supportedVersions":["`+spec.Modern+`"],"capabilities":{"tools":{}},"serverInfo":{"name":"a","version":"1"},"resultType":"complete"}`)))
				case spec.ToolsCall:
					calls.Add(1)
					http.Error(w, `{"detail":"no such record"}`, status)
				default:
					_, _ = w.Write(jsonrpc.NewResult(m.ID(), []byte(`{"tools":[],"resultType":"complete"}`)))
				}
			}, nil)
			g := newGateway(t, bridging, backend{name: "a", endpoints: []string{url}})
			call := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"delete","arguments":{},` + modernMeta + `}}`
			for n := range int32(2) {
				if _, body := g.post(call, spec.HeaderVersion, spec.Modern, spec.HeaderMethod, spec.ToolsCall, spec.HeaderName, "delete"); !strings.Contains(body, `"error"`) {
					t.Errorf("the call is answered %s", body)
				}
				if calls.Load() != n+1 {
					t.Fatalf("%d calls reached the server for %d", calls.Load(), n+1)
				}
			}
		})
	}
}
