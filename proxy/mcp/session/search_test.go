package session

import (
	"fmt"
	"net/http"
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

// searchable is a server whose tools a test changes, and whose lists it holds up.
type searchable struct {
	url   string
	lists atomic.Int32
	tools atomic.Pointer[string]
	block chan struct{} // closed when lists are answered
	once  sync.Once
}

func newSearchable(t testing.TB, tools string) *searchable {
	s := &searchable{block: make(chan struct{})}
	s.tools.Store(&tools)
	s.url = newScript(t, func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
		if m.Method() != spec.ToolsList {
			answer(w, m, `{"content":[]}`)
			return
		}
		s.lists.Add(1)
		<-s.block
		answer(w, m, listing(*s.tools.Load()))
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

// deny hides a tool that no server has.
func deny(c *Settings) { c.Members[0].Tools = federation.ToolFilter{Deny: []string{"secret"}} }

func TestUnknownToolsCostOneWalkThroughTheList(t *testing.T) {
	const calls = 6
	never := func(c *Settings) { c.Namespace = "never" }
	for name, test := range map[string]struct {
		tune    func(*Settings)
		session bool
	}{
		"filter, session":       {deny, true},
		"filter, single calls":  {deny, false},
		"no prefixes, session":  {never, true},
		"no prefixes, no state": {never, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newSearchable(t, "open")
			servers := []string{server.url}
			if !strings.HasPrefix(name, "filter") {
				servers = append(servers, newScript(t, func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) { answer(w, m, listing("other")) }))
			}
			f := newFront(t, test.tune, servers...)
			f.all.searches.age = time.Hour
			var s Session
			if test.session {
				s = f.open()
			}
			post := func(name string) string {
				if test.session {
					return f.post(s, toolCall(name))
				}
				return f.single(toolCall(name))
			}
			var wg sync.WaitGroup
			for i := range calls {
				wg.Go(func() {
					if body := post(fmt.Sprint("none", i)); !strings.Contains(body, unknownTool) {
						t.Error(body)
					}
				})
			}
			if test.session { // no test sees how many single calls are under way
				testkit.Eventually(t, "all calls are under way", func() bool {
					s.calls.mu.Lock()
					defer s.calls.mu.Unlock()
					return s.calls.pending == calls || server.lists.Load() > 1
				})
			}
			server.answer()
			wg.Wait()
			if body := post("none"); !strings.Contains(body, unknownTool) {
				t.Error(body)
			}
			if n := server.lists.Load(); n != 1 {
				t.Errorf("the tools were listed %d times", n)
			}
			if body := post("open"); !strings.Contains(body, `"result"`) {
				t.Error(body)
			}
		})
	}
}

func TestWhatAListLacksIsForgottenWhenItChanges(t *testing.T) {
	server := newSearchable(t, "open")
	server.answer()
	f := newFront(t, deny, server.url)
	f.all.searches.age = time.Hour
	s := f.open()
	call := func(name, want string) {
		t.Helper()
		if body := f.post(s, toolCall(name)); !strings.Contains(body, want) {
			t.Errorf("%s: %s", name, body)
		}
	}
	call("new", unknownTool)
	tools := "open new newer"
	server.tools.Store(&tools)
	call("new", unknownTool)
	owner{s.session}.listChanged("alpha", f.parse(string(jsonrpc.NewNotification(spec.NotificationToolsChanged, nil))), nil)
	call("new", `"result"`)

	call("newest", unknownTool)
	tools = "open newest"
	server.tools.Store(&tools)
	call("newest", unknownTool)
	f.commit(1, deny)
	call("newest", `"result"`)
}

// A server may show tools to one client and not to another.
func TestWhatOneClientDoesNotSeeAnotherMayCall(t *testing.T) {
	url := newScript(t, func(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message) {
		switch {
		case m.Method() != spec.ToolsList:
			answer(w, m, `{"content":[]}`)
		case r.Header.Get("X-Tenant") == "b":
			answer(w, m, listing("open theirs"))
		default:
			answer(w, m, listing("open"))
		}
	})
	for name, post := range map[string]func(f *front) func(tenant string) string{
		"another tenant": func(f *front) func(string) string {
			return func(tenant string) string { return f.single(toolCall("theirs"), "X-Tenant", tenant) }
		},
		"another session": func(f *front) func(string) string {
			return func(tenant string) string { return f.post(f.open(), toolCall("theirs"), "X-Tenant", tenant) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t, deny, url)
			f.all.searches.age = time.Hour
			call := post(f)
			if body := call("a"); !strings.Contains(body, unknownTool) {
				t.Error(body)
			}
			if body := call("b"); !strings.Contains(body, `"result"`) {
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
