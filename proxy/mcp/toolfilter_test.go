package mcp

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// filtered gives the cluster a filter.
func filtered(cluster string, f federation.ToolFilter) func(*Config) {
	return func(c *Config) {
		for i := range c.Clusters {
			if c.Clusters[i].Name == cluster {
				c.Clusters[i].Tools = f
			}
		}
	}
}

// toolPages walks through tools/list of a new session, up to three pages.
func (g *gateway) toolPages() (pages [][]string) {
	g.t.Helper()
	id, cursor := g.initialize(), ""
	for {
		_, body := g.post(`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{`+cursor+`}}`, spec.HeaderSession, id)
		var page struct {
			Result *struct {
				Tools      []struct{ Name string }
				NextCursor *string
			}
		}
		if err := json.Unmarshal([]byte(body), &page); err != nil || page.Result == nil || page.Result.Tools == nil {
			g.t.Fatalf("no page of tools: %s", body)
		}
		names := []string{}
		for _, tool := range page.Result.Tools {
			names = append(names, tool.Name)
		}
		pages = append(pages, names)
		if page.Result.NextCursor == nil || len(pages) == 3 {
			return pages
		}
		cursor = `"cursor":"` + *page.Result.NextCursor + `"`
	}
}

func TestFilteredToolsOfTheOnlyClusterAreUnlistedAndUncallable(t *testing.T) {
	raw := newPagedServer(t, 150)
	g := newGateway(t, filtered("raw", federation.ToolFilter{Allow: []string{"tool-00*", "tool-0149"}, Deny: []string{"*7"}}), backend{name: "raw", endpoints: []string{raw.url}})
	pages := g.toolPages()
	// The pages are the server's, less what is hidden: 0 to 63, 64 to 127, 128
	// to 149.
	if len(pages) < 3 || len(pages[0]) != 64-6 || len(pages[1]) != 36-4 || !slices.Equal(pages[2], []string{"tool-0149"}) {
		t.Fatalf("%d pages: %v", len(pages), pages)
	}
	id := g.initialize()
	call := func(name string) string {
		_, body := g.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+name+`"}}`, spec.HeaderSession, id)
		return body
	}
	for _, name := range []string{"tool-0007", "tool-0100", "nonesuch"} {
		if body := call(name); !strings.Contains(body, `"code":-32602,"message":"unknown tool: `+name) {
			t.Errorf("%s: %s", name, body)
		}
	}
	if raw.last("tools/call") != "" {
		t.Error("the server was asked for a hidden tool")
	}
	if body := call("tool-0149"); !strings.Contains(body, `"result"`) {
		t.Error(body)
	}
}

func TestFilteredToolsOfAFederationAreUnlistedAndUncallable(t *testing.T) {
	a, b := newPagedServer(t, 1200), newPagedServer(t, 70)
	backends := []backend{{name: "alpha", endpoints: []string{a.url}}, {name: "beta", prefix: "b", endpoints: []string{b.url}}}
	g := newGateway(t, filtered("alpha", federation.ToolFilter{Allow: []string{"tool-11*"}}), backends...)
	pages := g.toolPages()
	if len(pages) != 1 || len(pages[0]) != 170 || pages[0][0] != "alpha__tool-1100" || pages[0][100] != "b__tool-0000" {
		t.Errorf("%d pages: %v", len(pages), pages)
	}
	id := g.initialize()
	call := func(name string) string {
		_, body := g.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+name+`"}}`, spec.HeaderSession, id)
		return body
	}
	if body := call("alpha__tool-0001"); !strings.Contains(body, `"code":-32602,"message":"unknown tool: alpha__tool-0001`) {
		t.Error(body)
	}
	// A bare name belongs to the one cluster that shows it.
	for name, by := range map[string]*rawServer{"tool-0001": b, "tool-1101": a} {
		call(name)
		if !strings.Contains(by.last("tools/call"), name) {
			t.Errorf("%s did not reach its server", name)
		}
	}
	// Without prefixes, what the first does not show is the second's.
	g.commit(func(c *Config) {
		c.Namespace = "never"
		filtered("alpha", federation.ToolFilter{Deny: []string{"tool-0*"}})(c)
	}, backends...)
	pages = g.toolPages()
	if n := len(pages[0]); n != 270 || pages[0][200] != "tool-0000" {
		t.Errorf("%d tools, %v", n, pages[0])
	}
}

func TestAChangedFilterIsAListChanged(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, nil, a.backend("alpha"))
	var got seen
	c := g.connect(got.options())
	g.listening(1)
	g.commit(filtered("alpha", federation.ToolFilter{Deny: []string{"who*"}}), a.backend("alpha"))
	testkit.Eventually(t, "list_changed", func() bool { return got.has("tools changed") })
	tools, err := c.ListTools(within(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range tools.Tools {
		if tool.Name == "whoami" {
			t.Error("whoami is listed")
		}
	}
	if fmt.Sprint(g.cfg.ToolName("alpha", "whoami")) != "" {
		t.Error("whoami has a name")
	}
}

func TestOnlyTheNamesInTheCatalogueReachAServerWhoseToolsAreFiltered(t *testing.T) {
	for _, clusters := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d clusters", clusters), func(t *testing.T) {
			raw := newRawServer(t, func(method string) string {
				if method == "tools/list" {
					return `{"tools":[{"name":"secret","inputSchema":{"type":"object"}},{"name":"open","inputSchema":{"type":"object"}}]}`
				}
				return `{}`
			})
			backends := []backend{{name: "raw", endpoints: []string{raw.url}}}
			prefix := ""
			if clusters == 2 {
				backends = append(backends, backend{name: "other", endpoints: []string{newPagedServer(t, 1).url}})
				prefix = "raw__"
			}
			g := newGateway(t, filtered("raw", federation.ToolFilter{Allow: []string{"*"}, Deny: []string{"secret"}}), backends...)
			id := g.initialize()
			for _, name := range []string{"secret", "SECRET", "Secret", "secret ", " secret", `secret\u0000`, `secret\t`, "secret/", `s\u0435cret`, "secret.", "nonesuch"} {
				name = prefix + name
				for what, answer := range map[string]func() string{
					"session": func() string {
						_, body := g.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+name+`"}}`, spec.HeaderSession, id)
						return body
					},
					"without session": func() string {
						_, body := g.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + name + `"}}`)
						return body
					},
				} {
					if body := answer(); !strings.Contains(body, `"code":-32602,"message":"unknown tool: `) {
						t.Errorf("%s: %s: %s", what, name, body)
					}
				}
			}
			if body := raw.last("tools/call"); body != "" {
				t.Errorf("the server was called: %s", body)
			}
			if _, body := g.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+prefix+`op\u0065n"}}`, spec.HeaderSession, id); !strings.Contains(body, `"result"`) {
				t.Error(body)
			}
			if body := raw.last("tools/call"); !strings.Contains(body, `"name":"open"`) {
				t.Errorf("the server was called as %s", body)
			}
		})
	}
}

func TestOnlyTheSpecificationsMethodsReachAServerWhoseToolsAreFiltered(t *testing.T) {
	raw := newRawServer(t, func(method string) string { return `{"tools":[]}` })
	filter := federation.ToolFilter{Deny: []string{"secret"}}
	g := newGateway(t, filtered("raw", filter), backend{name: "raw", endpoints: []string{raw.url}})
	id := g.initialize()
	methods := []string{"tools/call ", "Tools/Call", "tools/invoke", "server/discover", "x", "notifications/x"}
	try := func(method string) string {
		_, body := g.post(`{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":{"name":"secret"}}`, spec.HeaderSession, id)
		g.post(`{"jsonrpc":"2.0","method":"`+method+`","params":{"name":"secret"}}`, spec.HeaderSession, id)
		return body
	}
	for _, method := range append(methods, "tools/call") {
		body := try(method)
		if !strings.Contains(body, `"code":-32601`) && method != "tools/call" {
			t.Errorf("%s: %s", method, body)
		}
		if sent := raw.last(method); sent != "" {
			t.Errorf("%s reached the server: %s", method, sent)
		}
	}
	// A route that hides nothing has nothing to refuse.
	g.commit(nil, backend{name: "raw", endpoints: []string{raw.url}})
	for _, method := range methods {
		if body := try(method); !strings.Contains(body, `"result"`) || raw.last(method) == "" {
			t.Errorf("%s: %s", method, body)
		}
	}
}
