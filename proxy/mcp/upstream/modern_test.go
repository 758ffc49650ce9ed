package upstream

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// statelessPeer is a strict server of the official SDK without sessions.
func statelessPeer(t *testing.T, protocol string) *peer {
	return strictPeer(t, protocol, streamableHandler(newServer(newHangs()), &mcp.StreamableHTTPOptions{Stateless: true}))
}

func asModern(o *settings) { o.Modern = true }

func TestServersWithoutSessionsOverEveryTransport(t *testing.T) {
	for name, change := range map[string]func(*clusters.Config){
		"h2":       statelessPeer(t, "h2").at("/mcp"),
		"http/1.1": statelessPeer(t, "http/1.1").at("/mcp"),
		"stdio":    command("stdio-server"),
	} {
		t.Run(name, func(t *testing.T) {
			c, e := cluster(t, change)
			s := mustOpen(t, c, e, asModern)
			if !s.Server().Modern() || s.Server().Version != spec.Modern || s.Server().Result.Result().Get("serverInfo", "name").String() != "peer" {
				t.Fatalf("version %s: %s", s.Server().Version, s.Server().Result.Raw())
			}
			if got := s.mustTool("echo", `{"text":"hello"}`, nil); got != "hello" {
				t.Errorf("echo: %q", got)
			}
			next := int64(1)
			s.mustTool("progress", `{"n":10}`, func(m *jsonrpc.Message) {
				if got, _ := m.Params().Get("progress").Int(); got != next {
					t.Errorf("got %s, want progress %d", m.Raw(), next)
				}
				next++
			})
			if next != 11 {
				t.Errorf("%d of 10 notifications", next-1)
			}
			if err := s.Ping(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// modernFake answers as a server without sessions, and counts.
type modernFake struct {
	*fake
	discovers, initializes atomic.Int64
	supported              atomic.Pointer[string]
}

func newModernFake(t *testing.T, call func(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message)) *modernFake {
	f := &modernFake{fake: newFake(t)}
	supported := `["2026-07-28"]`
	f.supported.Store(&supported)
	f.any = func(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message) {
		switch {
		case m.Method() == "server/discover":
			f.discovers.Add(1)
			answerJSON(w, jsonrpc.NewResult(m.ID(), fmt.Appendf(nil, `{"resultType":"complete","supportedVersions":%s,"capabilities":{"tools":{}}}`, *f.supported.Load())))
		case m.Method() == "initialize":
			f.initializes.Add(1)
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write(jsonrpc.NewError(m.ID(), jsonrpc.CodeHeaderMismatch, "Mcp-Method is missing", nil))
		default:
			call(w, r, m)
		}
	}
	return f
}

func TestEraIsAskedForOnce(t *testing.T) {
	f := newModernFake(t, func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
		answerJSON(w, jsonrpc.NewResult(m.ID(), nil))
	})
	known := new(Client)
	remember := func(o *settings) { o.client = known }
	c, e := cluster(t, at(f.URL))
	for range 3 {
		if s := mustOpen(t, c, e, remember); !s.Server().Modern() { // for a client with sessions
			t.Fatal("the server is said to have sessions")
		}
		if s := mustOpen(t, c, e, remember, asModern); !s.Server().Modern() {
			t.Fatal("the server is said to have sessions")
		}
	}
	if f.discovers.Load() != 1 || f.initializes.Load() != 1 {
		t.Errorf("asked %d times, initialised %d times", f.discovers.Load(), f.initializes.Load())
	}

	old := newFake(t)
	c, e = cluster(t, at(old.URL))
	for range 3 {
		if s := mustOpen(t, c, e, remember, asModern); s.Server().Modern() {
			t.Fatal("the server is said to have no sessions")
		}
	}
	// initialize and initialized each time, server/discover once.
	if n := len(old.seen(http.MethodPost)); n != 7 {
		t.Errorf("%d POSTs to a server with sessions", n)
	}
}

func TestServerThatSpeaksTheRevisionNoMoreIsOpenedAnew(t *testing.T) {
	f := newModernFake(t, func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write(jsonrpc.NewError(m.ID(), jsonrpc.CodeUnsupportedVersion, "not any more", []byte(`{"supported":["2027-01-01"]}`)))
	})
	known := new(Client)
	c, e := cluster(t, at(f.URL))
	s := mustOpen(t, c, e, asModern, func(o *settings) { o.client = known })
	if m, err := s.call("tools/call"); err != nil || m.ErrorCode() != jsonrpc.CodeUnsupportedVersion {
		t.Errorf("%v, %v", m, err)
	}
	<-s.Done()
	before := f.discovers.Load()
	mustOpen(t, c, e, asModern, func(o *settings) { o.client = known })
	if f.discovers.Load() == before {
		t.Error("what was known is still believed")
	}
}

func TestParametersAreRepeatedInHeaders(t *testing.T) {
	var changed atomic.Bool // the tool wants another header
	f := newModernFake(t, func(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message) {
		want := "Region"
		if changed.Load() {
			want = "Area"
		}
		switch {
		case m.Method() == "tools/list":
			answerJSON(w, jsonrpc.NewResult(m.ID(), fmt.Appendf(nil, `{"tools":[`+
				`{"name":"query","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":%q}}}},`+
				`{"name":"bad","inputSchema":{"type":"object","properties":{"x":{"type":"number","x-mcp-header":"X"}}}}]}`, want)))
		case r.Header.Get("Mcp-Param-"+want) == spec.EncodeHeader("süd"):
			answerJSON(w, jsonrpc.NewResult(m.ID(), []byte(`{"content":[]}`)))
		default:
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write(jsonrpc.NewError(m.ID(), jsonrpc.CodeHeaderMismatch, "header mismatch", nil))
		}
	})
	c, e := cluster(t, at(f.URL))
	s := mustOpen(t, c, e)
	call := func() (*jsonrpc.Message, error) {
		id := s.NextID()
		return s.Call(t.Context(), jsonrpc.NewRequest(id, "tools/call", []byte(`{"name":"query","arguments":{"region":"süd"}}`)), id, nil)
	}
	if m, err := call(); err != nil || m.IsError() {
		t.Errorf("the first call: %v, %v", m, err)
	}
	changed.Store(true)
	if m, err := call(); err != nil || m.IsError() {
		t.Errorf("after the tool has changed: %v, %v", m, err)
	}
	list, err := s.call("tools/list")
	if err != nil || list.Result().Get("tools").Len() != 1 || strings.Contains(string(list.Raw()), `"bad"`) {
		t.Errorf("the list: %s, %v", list.Raw(), err)
	}
	if err := <-s.ignored; !strings.Contains(err.Error(), `"bad"`) {
		t.Errorf("ignored: %v", err)
	}
	// A modern client's own headers are judged as the server would.
	s = mustOpen(t, c, e, asModern)
	id := s.NextID()
	ctx := WithHeader(t.Context(), http.Header{"Mcp-Param-Area": {"north"}})
	m, err := s.Call(ctx, jsonrpc.NewRequest(id, "tools/call", []byte(`{"name":"query","arguments":{"region":"süd"}}`)), id, nil)
	if err != nil || m.ErrorCode() != jsonrpc.CodeHeaderMismatch {
		t.Errorf("a header that says another thing: %v, %v", m, err)
	}
}

// What is remembered of an endpoint outlives its sessions, and all of them share
// it.
func TestWhatIsRememberedOfAServerIsBounded(t *testing.T) {
	t.Run("discover", func(t *testing.T) {
		f := newFake(t)
		f.any = func(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message) {
			if m.Method() == "server/discover" {
				answerJSON(w, jsonrpc.NewResult(m.ID(), fmt.Appendf(nil, `{"supportedVersions":["2026-07-28"],"instructions":%q}`, strings.Repeat("x", maxDiscover))))
				return
			}
			f.answer(w, r, m)
		}
		c, e := cluster(t, at(f.URL))
		if s := mustOpen(t, c, e, asModern); s.Server().Modern() {
			t.Error("an answer to server/discover is taken however long it is")
		}
	})
	t.Run("sessions", func(t *testing.T) {
		f := newFake(t)
		f.any = func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
			answerJSON(w, jsonrpc.NewResult(m.ID(), fmt.Appendf(nil, `{"supportedVersions":["2026-07-28"],"instructions":%q}`, strings.Repeat("x", maxDiscover/2))))
		}
		c, e := cluster(t, at(f.URL))
		budget := memory.New(nil)
		budget.SetLimit(1 << 30)
		s := mustOpen(t, c, e, asModern, func(o *settings) { o.client.Memory = budget })
		if charged := budget.Stats().Pressure; charged < maxDiscover/2 {
			t.Errorf("%d bytes are charged for what the session keeps", charged)
		}
		s.Close(t.Context())
		if charged := budget.Stats().Pressure; charged != 0 {
			t.Errorf("%d bytes stay charged", charged)
		}
	})
	t.Run("names that clients call", func(t *testing.T) {
		lists := 0
		f := newModernFake(t, func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
			if m.Method() == "tools/list" {
				lists++
				answerJSON(w, jsonrpc.NewResult(m.ID(), []byte(`{"tools":[{"name":"query","inputSchema":{"type":"object"}}]}`)))
				return
			}
			answerJSON(w, jsonrpc.NewResult(m.ID(), []byte(`{"content":[]}`)))
		})
		c, e := cluster(t, at(f.URL))
		known := new(Client)
		s := mustOpen(t, c, e, asModern, func(o *settings) { o.client = known })
		call := func(tool string) {
			id := s.NextID()
			if _, err := s.Call(t.Context(), jsonrpc.NewRequest(id, "tools/call", fmt.Appendf(nil, `{"name":%q}`, tool)), id, nil); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 2 * maxUnlisted {
			call(fmt.Sprint("none", i))
		}
		before := lists
		call("query")
		call(fmt.Sprint("none", 2*maxUnlisted-1))
		call(strings.Repeat("x", maxToolName+1))
		if k := known.of(c, e).tools(); len(k.params) != 1 || len(k.unlisted) > maxUnlisted {
			t.Errorf("%d tools and %d names are remembered", len(k.params), len(k.unlisted))
		}
		if lists != before {
			t.Errorf("asked for the tools %d times", lists-before)
		}
	})
	t.Run("names that servers list", func(t *testing.T) {
		many := map[string][]headerParam{strings.Repeat("x", 2*maxToolName): nil}
		for i := range 2 * maxHeaderParamBytes / maxToolName {
			many[fmt.Sprint(i, strings.Repeat("x", maxToolName-10))] = nil
		}
		var all toolHeaders
		all.learn(map[string][]headerParam{"known before": nil})
		all.learn(many)
		size := 0
		for tool := range all.params {
			size += len(tool)
		}
		if size > maxHeaderParamBytes || size < maxHeaderParamBytes/2 || size != all.size {
			t.Errorf("%d tools of %d bytes are remembered, said to take %d", len(all.params), size, all.size)
		}
		if _, ok := all.params["known before"]; ok {
			t.Error("the tool that was known before did not make way")
		}
		params := []headerParam{{"Mcp-Param-A", []string{strings.Repeat("a", maxHeaderParamBytes)}}}
		var few toolHeaders
		few.learn(map[string][]headerParam{"known before": nil})
		few.learn(map[string][]headerParam{"x": params})
		if len(few.params) != 1 {
			t.Errorf("%d tools are remembered", len(few.params))
		}
	})
}

func TestServerThatAsksWithoutEndIsGivenUp(t *testing.T) {
	rounds := 0
	f := newModernFake(t, func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
		rounds++
		answerJSON(w, jsonrpc.NewResult(m.ID(), []byte(`{"resultType":"input_required","requestState":"s"}`)))
	})
	c, e := cluster(t, at(f.URL))
	s := mustOpen(t, c, e)
	if _, err := s.call("prompts/get"); err == nil || rounds != maxRounds+1 {
		t.Errorf("%d rounds: %v", rounds, err)
	}
}
