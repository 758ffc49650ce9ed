package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

func TestFederationIntroducesItself(t *testing.T) {
	a, b := newServer(t, "alpha"), newServer(t, "beta")
	g := newGateway(t, nil, a.backend("alpha"), b.backend("beta"))
	init := g.connect(nil).InitializeResult()
	if init.ServerInfo.Name != "mcpgateway" || init.ServerInfo.Version != "test" {
		t.Errorf("serverInfo: %+v", init.ServerInfo)
	}
	if want := "[alpha]\nuse alpha well\n\n[beta]\nuse beta well"; init.Instructions != want {
		t.Errorf("instructions: %q", init.Instructions)
	}
	caps := init.Capabilities
	if caps.Tools == nil || !caps.Tools.ListChanged || caps.Resources == nil || !caps.Resources.Subscribe || caps.Prompts == nil || caps.Completions == nil || caps.Logging == nil {
		t.Errorf("capabilities: %+v", caps)
	}
}

func TestDeadAndHungClustersDoNotHoldTheOthersUp(t *testing.T) {
	a, dead, hung := newServer(t, "alpha"), newServer(t, "dead"), newServer(t, "hung")
	dead.down.Store(true)
	hung.hang.Store(true)
	g := newGateway(t, func(c *Config) { c.Timeouts.List = 300 * time.Millisecond },
		dead.backend("dead"), hung.backend("hung"), a.backend("alpha"))
	var got seen
	begun := time.Now()
	c := g.connect(got.options())
	tools, err := c.ListTools(within(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if d := time.Since(begun); d > 5*time.Second {
		t.Errorf("it took %v", d)
	}
	if missing := fmt.Sprint(tools.Meta["dev.mcpgateway/unavailable"]); missing != "[dead hung]" {
		t.Errorf("unavailable: %s", missing)
	}
	if invoke(t, c, "alpha__whoami", nil) != "alpha" {
		t.Error("alpha does not answer")
	}
	if _, err := c.CallTool(within(t), &sdk.CallToolParams{Name: "dead__whoami"}); err == nil {
		t.Error("the dead one answers")
	}

	dead.down.Store(false)
	testkit.Eventually(t, "the client hears that a server is back", func() bool { return got.has("tools changed") })
	testkit.Eventually(t, "its tools are there", func() bool {
		tools, err := c.ListTools(within(t), nil)
		return err == nil && slices.ContainsFunc(tools.Tools, func(x *sdk.Tool) bool { return x.Name == "dead__whoami" })
	})
}

func TestAllClustersFailedIsAnErrorWithItsReason(t *testing.T) {
	a, b := newServer(t, "alpha"), newServer(t, "beta")
	g := newGateway(t, nil, a.backend("alpha"), b.backend("beta"))
	id := g.initialize()
	a.http.Close()
	b.http.Close()
	res, body := g.post(listBody, spec.HeaderSession, id)
	if res.StatusCode != 200 || !strings.Contains(body, `"code":-32603`) || !strings.Contains(body, `"reason":"upstream_connection_failure"`) {
		t.Errorf("in a session: %d %s", res.StatusCode, body)
	}
	if res, body := g.post(listBody); res.StatusCode != 502 || !strings.Contains(body, `"reason":"upstream_connection_failure"`) {
		t.Errorf("without a session: %d %s", res.StatusCode, body)
	}
}

func addTools(s *server, n int) {
	for i := range n {
		sdk.AddTool(s.Server, &sdk.Tool{Name: fmt.Sprintf("extra-%04d", i), Description: strings.Repeat("d", 50)},
			func(context.Context, *sdk.CallToolRequest, struct{}) (*sdk.CallToolResult, any, error) {
				return nil, nil, nil
			})
	}
}

func TestEveryItemOfManyPagesIsReachable(t *testing.T) {
	for _, each := range []int{300, 700, 1500} {
		t.Run(fmt.Sprint(each), func(t *testing.T) {
			var backends []backend
			var want []string
			for _, name := range []string{"charlie", "alpha", "beta"} {
				raw := newPagedServer(t, each)
				backends = append(backends, backend{name: name, endpoints: []string{raw.url}})
				for i := range each {
					want = append(want, fmt.Sprintf("%s__tool-%04d", name, i))
				}
			}
			g := newGateway(t, nil, backends...)
			id := g.initialize()
			var got []string
			cursor, pages := "", 0
			for {
				_, body := g.post(`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{`+cursor+`}}`, spec.HeaderSession, id)
				var page struct {
					Result struct {
						Tools      []struct{ Name string }
						NextCursor *string
					}
				}
				if err := json.Unmarshal([]byte(body), &page); err != nil {
					t.Fatal(err)
				}
				for _, tool := range page.Result.Tools {
					got = append(got, tool.Name)
				}
				if len(page.Result.Tools) > federation.PageItems {
					t.Errorf("a page of %d", len(page.Result.Tools))
				}
				if pages++; page.Result.NextCursor == nil {
					break
				}
				cursor = `"cursor":"` + *page.Result.NextCursor + `"`
				// A cursor survives a reload, and opens for no other principal.
				if pages == 1 {
					g.commit(nil, backends...)
					if _, body := g.post(`{"jsonrpc":"2.0","id":1,"method":"prompts/list","params":{`+cursor+`}}`, spec.HeaderSession, id); !strings.Contains(body, "-32602") {
						t.Errorf("a cursor of another list: %s", body)
					}
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d items on %d pages, want %d", len(got), pages, len(want))
			}
			if c := g.hub.Catalogue("test"); len(c["alpha"]) != each {
				t.Errorf("the catalogue has %d of %d", len(c["alpha"]), each)
			}
		})
	}
}

// newPagedServer has n tools, 64 a page. Its cursors end in a loop, as those
// of some servers do.
func newPagedServer(t testing.TB, n int) *rawServer {
	var s *rawServer
	s = newRawServer(t, func(method string) string {
		if method != "tools/list" {
			return `{}`
		}
		var m struct{ Params struct{ Cursor string } }
		if err := json.Unmarshal([]byte(s.last(method)), &m); err != nil {
			t.Error(err)
		}
		from := 0
		fmt.Sscanf(m.Params.Cursor, "at-%d", &from)
		to := min(from+64, n)
		var items []string
		for i := from; i < to; i++ {
			items = append(items, fmt.Sprintf(`{"name":"tool-%04d","inputSchema":{"type":"object"}}`, i))
		}
		next := fmt.Sprintf("at-%d", to)
		if to == n {
			next = m.Params.Cursor
		}
		return `{"tools":[` + strings.Join(items, ",") + `],"nextCursor":"` + next + `"}`
	})
	return s
}

func TestListChangedOfAServerReachesTheClientOnce(t *testing.T) {
	a, b := newServer(t, "alpha"), newServer(t, "beta")
	g := newGateway(t, nil, a.backend("alpha"), b.backend("beta"))
	var got seen
	c := g.connect(got.options())
	g.listening(1)
	addTools(b, 5)
	testkit.Eventually(t, "list_changed", func() bool { return got.has("tools changed") })
	tools, err := c.ListTools(within(t), nil)
	if err != nil || !slices.ContainsFunc(tools.Tools, func(x *sdk.Tool) bool { return x.Name == "beta__extra-0004" }) {
		t.Error(tools, err)
	}
}

// listening waits until so many streams are open.
func (g *gateway) listening(n int) {
	g.t.Helper()
	testkit.Eventually(g.t, "streams are open", func() bool { return g.hub.Stats()["test"].Streams >= n })
}

func TestResourceUpdatesCarryTheClientsURI(t *testing.T) {
	a, b := newServer(t, "alpha"), newServer(t, "beta")
	g := newGateway(t, nil, a.backend("alpha"), b.backend("beta"))
	var got seen
	c := g.connect(got.options())
	g.listening(1)
	if err := c.Subscribe(within(t), &sdk.SubscribeParams{URI: "beta+file:///a"}); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the update", func() bool {
		b.ResourceUpdated(context.Background(), &sdk.ResourceUpdatedNotificationParams{URI: "file:///a"})
		return got.has("updated beta+file:///a")
	})
}

func TestNamespaceNever(t *testing.T) {
	a, b := newServer(t, "alpha"), newServer(t, "beta")
	addTools(b, 2)
	g := newGateway(t, func(c *Config) { c.Namespace = "never" }, a.backend("alpha"), b.backend("beta"))
	// A single call, before any client has listed.
	if _, body := g.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami"}}`); !strings.Contains(body, `"text":"alpha"`) {
		t.Error(body)
	}
	c := g.connect(nil)
	tools, err := c.ListTools(within(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, x := range tools.Tools {
		if x.Name == "whoami" {
			n++
		}
	}
	if n != 1 || !slices.ContainsFunc(tools.Tools, func(x *sdk.Tool) bool { return x.Name == "extra-0001" }) {
		t.Errorf("%d times whoami in %v", n, tools.Tools)
	}
	if invoke(t, c, "whoami", nil) != "alpha" {
		t.Error("the first cluster in file order does not own the name")
	}
	if !g.trace.has("name beta tool whoami: hidden: the name is taken by cluster alpha") {
		t.Errorf("not reported: %v", g.trace.all())
	}
	a.http.CloseClientConnections()
	a.http.Close()
	if _, err := c.CallTool(within(t), &sdk.CallToolParams{Name: "whoami"}); err == nil {
		t.Error("while the owner is down, another one answers")
	}
}

func TestNamespaceAlways(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, func(c *Config) { c.Namespace = "always" }, a.backend("alpha"))
	if invoke(t, g.connect(nil), "alpha__whoami", nil) != "alpha" {
		t.Error("no prefix")
	}
}

func TestBareNameOfOneClusterResolves(t *testing.T) {
	a, b := newServer(t, "alpha"), newServer(t, "beta")
	addTools(b, 1)
	g := newGateway(t, nil, a.backend("alpha"), b.backend("beta"))
	id := g.initialize()
	g.post(listBody, spec.HeaderSession, id)
	if _, body := g.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"extra-0000"}}`, spec.HeaderSession, id); strings.Contains(body, "-32602") {
		t.Error(body)
	}
	for _, name := range []string{"whoami", "nonesuch", "gamma__x"} {
		if _, body := g.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+name+`"}}`, spec.HeaderSession, id); !strings.Contains(body, "-32602") {
			t.Errorf("%s: %s", name, body)
		}
	}
}

func TestUnknownMethods(t *testing.T) {
	raw := newRawServer(t, func(method string) string { return `{"method":"` + method + `"}` })
	one := newGateway(t, nil, backend{name: "raw", endpoints: []string{raw.url}})
	two := newGateway(t, nil, backend{name: "raw", endpoints: []string{raw.url}}, backend{name: "more", endpoints: []string{raw.url}})
	const body = `{"jsonrpc":"2.0","id":1,"method":"vendor/thing"}`
	if _, got := one.post(body); !strings.Contains(got, `"method":"vendor/thing"`) {
		t.Error(got)
	}
	if _, got := two.post(body); !strings.Contains(got, "-32601") {
		t.Error(got)
	}
}

func TestOverlongAndOddNamesAreReported(t *testing.T) {
	long := strings.Repeat("x", 125)
	raw := newRawServer(t, func(string) string {
		return strings.ReplaceAll(`{"tools":[{"name":"`+long+`"},{"name":"a b"},{"name":"fine"},{"name":"fine"}]}`, `"}`, `","inputSchema":{"type":"object"}}`)
	})
	g := newGateway(t, nil, backend{name: "raw", endpoints: []string{raw.url}}, backend{name: "more", endpoints: []string{raw.url}})
	_, body := g.post(listBody)
	if strings.Contains(body, long) || !strings.Contains(body, `raw__a b`) || strings.Count(body, "raw__fine") != 1 {
		t.Error(body)
	}
	for _, part := range []string{"hidden: longer than 128", "raw tool raw__a b: holds characters", "raw__fine: hidden: the name is taken by cluster raw"} {
		if !g.trace.has(part) {
			t.Errorf("not reported: %s", part)
		}
	}
}

func TestChangedToolDefinitionIsReported(t *testing.T) {
	description, schema := "old", `{"type":"object","properties":{"a":{"enum":[1,2]},"b":{}}}`
	raw := newRawServer(t, func(string) string {
		return `{"tools":[{"name":"t","description":"` + description + `","inputSchema":` + schema + `}]}`
	})
	g := newGateway(t, nil, backend{name: "raw", endpoints: []string{raw.url}})
	g.post(listBody)
	g.post(listBody)
	if g.trace.has("changed raw t") {
		t.Error("nothing has changed")
	}
	schema = `{"properties": {"b": {}, "a": {"enum": [1, 2]}}, "type": "object"}`
	g.post(listBody)
	if g.trace.has("changed raw t") {
		t.Error("only the order of members has changed")
	}
	schema = `{"properties":{"\u0062":{},"a":{"enum":[1.0,2e0]}},"type":"\u006fbject"}`
	g.post(listBody)
	if g.trace.has("changed raw t") {
		t.Error("only the writing of numbers and strings has changed")
	}
	schema = `{"properties":{"b":{},"a":{"enum":[2,1]}},"type":"object"}`
	g.post(listBody)
	if n := g.trace.count("changed raw t"); n != 1 {
		t.Errorf("another order of elements was reported %d times", n)
	}
	description = "new"
	g.post(listBody)
	if n := g.trace.count("changed raw t"); n != 2 {
		t.Errorf("another description was reported %d times in all", n)
	}
	schema = `{"type":"object","\ud800":1}`
	g.post(listBody)
	schema = `{"type":"object","\ud801":1}`
	g.post(listBody)
	if n := g.trace.count("changed raw t"); n != 4 {
		t.Errorf("another key was reported %d times in all", n)
	}
}

func TestTwoToolsOfOneNameAreReportedOnceAndAreNoChange(t *testing.T) {
	tool := func(i int) string {
		return fmt.Sprintf(`{"name":"t","description":"%d","inputSchema":{"type":"object"}}`, i)
	}
	for name, pages := range map[string][]string{
		"one page":  {`{"tools":[` + tool(1) + `,` + tool(2) + `]}`},
		"two pages": {`{"tools":[` + tool(1) + `],"nextCursor":"2"}`, `{"tools":[` + tool(2) + `]}`},
	} {
		t.Run(name, func(t *testing.T) {
			at := 0
			raw := newRawServer(t, func(method string) string {
				if method != spec.ToolsList {
					return "{}"
				}
				at++
				return pages[(at-1)%len(pages)]
			})
			g := newGateway(t, nil, backend{name: "raw", endpoints: []string{raw.url}})
			for range 3 {
				if got := g.toolPages(); len(slices.Concat(got...)) != 2 {
					t.Errorf("%v", got)
				}
			}
			// Over two pages the first walk cannot tell one from the other.
			if n := g.trace.count("changed raw t "); n > 2*(len(pages)-1) {
				t.Errorf("%d changes are told: %q", n, g.trace.all())
			}
			if n := g.trace.count("name raw tool t: the server lists the name twice"); len(pages) == 1 && n != 1 {
				t.Errorf("told %d times: %q", n, g.trace.all())
			}
		})
	}
}
