package mcp

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// searchable is a server whose lists of tools are counted.
type searchable struct {
	*rawServer
	lists atomic.Int32
	tools atomic.Pointer[string]
	block chan struct{} // closed when lists are answered
	once  sync.Once
}

func newSearchable(t testing.TB, tools string) *searchable {
	s := &searchable{block: make(chan struct{})}
	s.tools.Store(&tools)
	s.rawServer = newRawServer(t, func(method string) string {
		if method != "tools/list" {
			return `{"content":[]}`
		}
		s.lists.Add(1)
		<-s.block
		return listing(*s.tools.Load())
	})
	t.Cleanup(s.answer) // before the server is closed
	return s
}

// answer lets lists be answered.
func (s *searchable) answer() { s.once.Do(func() { close(s.block) }) }

// listing is a list of tools.
func listing(names string) string {
	var tools []string
	for _, name := range strings.Fields(names) {
		tools = append(tools, `{"name":"`+name+`","inputSchema":{"type":"object"}}`)
	}
	return `{"tools":[` + strings.Join(tools, ",") + `]}`
}

func toolCall(name string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%q,"method":"tools/call","params":{"name":%q}}`, name, name)
}

const unknownTool = `"code":-32602,"message":"unknown tool: `

func TestUnknownToolsCostOneWalkThroughTheList(t *testing.T) {
	const calls = 6
	deny := filtered("raw", federation.ToolFilter{Deny: []string{"secret"}})
	for name, test := range map[string]struct {
		tune    func(*Config)
		session bool
	}{
		"filter, session":       {deny, true},
		"filter, single calls":  {deny, false},
		"no prefixes, session":  {func(c *Config) { c.Namespace = "never" }, true},
		"no prefixes, no state": {func(c *Config) { c.Namespace = "never" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSearchable(t, "open")
			backends := []backend{{name: "raw", endpoints: []string{s.url}}}
			if !strings.HasPrefix(name, "filter") {
				backends = append(backends, backend{name: "other", endpoints: []string{newPagedServer(t, 1).url}})
			}
			g := newGateway(t, test.tune, backends...)
			g.hub.searches.age = time.Hour
			var headers []string
			if test.session {
				headers = []string{spec.HeaderSession, g.initialize()}
			}
			var wg sync.WaitGroup
			for i := range calls {
				wg.Go(func() {
					if _, body := g.post(toolCall(fmt.Sprint("none", i)), headers...); !strings.Contains(body, unknownTool) {
						t.Error(body)
					}
				})
			}
			if test.session { // no test sees how many single calls are under way
				session := g.hub.find(headers[1])
				testkit.Eventually(t, "all calls are under way", func() bool {
					session.calls.mu.Lock()
					defer session.calls.mu.Unlock()
					return session.calls.pending == calls || s.lists.Load() > 1
				})
			}
			s.answer()
			wg.Wait()
			if _, body := g.post(toolCall("none"), headers...); !strings.Contains(body, unknownTool) {
				t.Error(body)
			}
			if n := s.lists.Load(); n != 1 {
				t.Errorf("the tools were listed %d times", n)
			}
			if _, body := g.post(toolCall("open"), headers...); !strings.Contains(body, `"result"`) {
				t.Error(body)
			}
		})
	}
}

func TestWhatAListLacksIsForgottenWhenItChanges(t *testing.T) {
	s := newSearchable(t, "open")
	s.answer()
	deny := filtered("raw", federation.ToolFilter{Deny: []string{"secret"}})
	b := backend{name: "raw", endpoints: []string{s.url}}
	g := newGateway(t, deny, b)
	g.hub.searches.age = time.Hour
	id := g.initialize()
	call := func(name, want string) {
		t.Helper()
		if _, body := g.post(toolCall(name), spec.HeaderSession, id); !strings.Contains(body, want) {
			t.Errorf("%s: %s", name, body)
		}
	}
	call("new", unknownTool)
	tools := "open new newer"
	s.tools.Store(&tools)
	call("new", unknownTool)
	session := g.hub.find(id)
	m, err := jsonrpc.Parse(jsonrpc.NewNotification("notifications/tools/list_changed", nil))
	if err != nil {
		t.Fatal(err)
	}
	owner{session}.listChanged("raw", m, nil)
	call("new", `"result"`)

	call("newest", unknownTool)
	tools = "open newest"
	s.tools.Store(&tools)
	call("newest", unknownTool)
	g.commit(deny, b)
	call("newest", `"result"`)
}

// A server may show tools to one client and not to another.
func TestWhatOneClientDoesNotSeeAnotherMayCall(t *testing.T) {
	var raw *rawServer
	raw = newRawServer(t, func(method string) string {
		switch {
		case method != "tools/list":
			return `{"content":[]}`
		case raw.header(method).Get("X-Tenant") == "b":
			return listing("open theirs")
		}
		return listing("open")
	})
	tune := func(c *Config) {
		filtered("raw", federation.ToolFilter{Deny: []string{"secret"}})(c)
		c.ForwardHeaders = []string{"x-tenant"}
	}
	for name, other := range map[string][]string{
		"another tenant":  {"X-Tenant", "b"},
		"another session": nil,
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, tune, backend{name: "raw", endpoints: []string{raw.url}})
			g.hub.searches.age = time.Hour
			var headers []string
			if other == nil {
				headers, other = []string{spec.HeaderSession, g.initialize(), "X-Tenant", "a"}, []string{spec.HeaderSession, g.initialize(), "X-Tenant", "b"}
			}
			if _, body := g.post(toolCall("theirs"), headers...); !strings.Contains(body, unknownTool) {
				t.Error(body)
			}
			if _, body := g.post(toolCall("theirs"), other...); !strings.Contains(body, `"result"`) {
				t.Error(body)
			}
		})
	}
}

func TestSearchesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newSearches()
		what := searched{"route", "cluster", spec.ToolsList}
		who := func(i int) searcher { return searcher{session: &session{}, headers: [32]byte{byte(i), byte(i >> 8)}} }
		ann := who(0)
		search := func(who searcher, complete bool) {
			t.Helper()
			mine, _, _ := all.begin(what, who)
			if mine == nil {
				t.Fatal("there is another search")
			}
			if _, over, _ := all.begin(what, who); over == nil && len(all.of[what]) < maxSearches {
				t.Error("there are two searches at a time")
			}
			all.end(what, who, mine, complete)
		}
		search(ann, false)
		search(ann, true)
		if _, _, complete := all.begin(what, ann); !complete {
			t.Error("a complete search is not remembered")
		}
		time.Sleep(searchAge)
		search(ann, true)
		all.forget("route", "cluster", spec.ToolsList)

		mine, _, _ := all.begin(what, ann)
		all.forget("route", "cluster", spec.ToolsList)
		all.end(what, ann, mine, true)
		search(ann, true)

		for i := range 2 * maxSearches {
			search(who(i), true)
		}
		if n := len(all.of[what]); n > maxSearches {
			t.Errorf("%d searches are remembered", n)
		}
		time.Sleep(searchAge)
		all.expire()
		if len(all.of) != 0 {
			t.Error("old searches are kept")
		}
	})
}
