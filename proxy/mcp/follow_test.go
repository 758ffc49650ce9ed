package mcp

import (
	"context"
	"net/http"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// during commits while initialize waits for a server that hangs.
func during(t *testing.T, g *gateway, hung *server, commit func()) (res *http.Response, body string) {
	t.Helper()
	done := make(chan struct{})
	hung.hang.Store(true)
	before := hung.requests.Load()
	go func() {
		defer close(done)
		res, body = g.post(initBody)
	}()
	testkit.Eventually(t, "the server is asked", func() bool { return hung.requests.Load() > before })
	commit()
	hung.hang.Store(false)
	hung.release()
	<-done
	return res, body
}

func TestRouteRemovedDuringInitialize(t *testing.T) {
	a, b := newServer(t, "alpha"), newServer(t, "beta")
	g := newGateway(t, nil, a.backend("alpha"), b.backend("beta"))
	res, body := during(t, g, b, func() { g.hub.Commit(nil) })
	if id := res.Header.Get(spec.HeaderSession); id != "" {
		t.Errorf("a session of a removed route: %s", body)
	}
	testkit.Eventually(t, "nothing is left", func() bool { return len(g.hub.Stats()) == 0 })
}

func TestClusterAddedDuringInitialize(t *testing.T) {
	a, b := newServer(t, "alpha"), newServer(t, "beta")
	g := newGateway(t, nil, a.backend("alpha"), b.backend("beta"))
	c := newServer(t, "gamma")
	res, body := during(t, g, b, func() { g.commit(nil, a.backend("alpha"), c.backend("gamma")) })
	id := res.Header.Get(spec.HeaderSession)
	if id == "" {
		t.Fatal(body)
	}
	until(t, g.listen(within(t), id), "tools/list_changed")
}

func TestOldGenerationLeavesNothingOpen(t *testing.T) {
	a, b := newServer(t, "alpha"), newServer(t, "beta")
	g := newGateway(t, nil, a.backend("alpha"), b.backend("beta"))
	id := g.initialize()
	old, set := g.current.Load(), g.set
	g.set = nil
	g.commit(nil, a.backend("alpha"))
	defer set.Release()
	fresh := g.current.Load()
	testkit.Eventually(t, "beta's session ends", func() bool { return b.deletes.Load() == 1 })

	// A request that a draining connection brings finishes as it began.
	g.current.Store(old)
	_, body := g.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"beta__whoami"}}`, spec.HeaderSession, id)
	g.current.Store(fresh)
	if !strings.Contains(body, "beta") {
		t.Error(body)
	}
	testkit.Eventually(t, "the session that it opened ends", func() bool { return b.deletes.Load() == 2 })
}

func TestListChangedThoughARequestCameBeforeTheCommit(t *testing.T) {
	a, b := newServer(t, "alpha"), newServer(t, "beta")
	g := newGateway(t, nil, a.backend("alpha"), b.backend("beta"))
	id := g.initialize()
	lines := g.listen(within(t), id)
	g.listening(1)
	cfg := *g.cfg
	cfg.Clusters = cfg.Clusters[:1]
	next, err := g.hub.NewHandler(HandlerConfig{Route: "test", Config: &cfg, Clusters: g.set})
	if err != nil {
		t.Fatal(err)
	}
	g.current.Store(next)
	g.post(listBody, spec.HeaderSession, id)
	g.hub.Commit([]*Handler{next})
	until(t, lines, "tools/list_changed")
}

func TestPrefixesOfASessionStay(t *testing.T) {
	a, b, c := newServer(t, "alpha"), newServer(t, "beta"), newServer(t, "gamma")
	as := func(s *server, name, prefix string) backend {
		return backend{name: name, prefix: prefix, endpoints: []string{s.url}}
	}
	g := newGateway(t, nil, as(a, "alpha", "x"), as(b, "beta", "y"))
	session := g.connect(nil)
	g.commit(nil, as(a, "alpha", "y"), as(b, "beta", "b"), as(c, "gamma", "x"))
	for tool, want := range map[string]string{"x__whoami": "alpha", "y__whoami": "beta", "gamma__whoami": "gamma"} {
		if got := invoke(t, session, tool, nil); got != want {
			t.Errorf("%s is %s's", tool, got)
		}
	}
	tools, err := session.ListTools(within(t), &sdk.ListToolsParams{})
	if err != nil {
		t.Fatal(err)
	}
	prefixes := map[string]int{}
	for _, tool := range tools.Tools {
		prefix, _, _ := strings.Cut(tool.Name, "__")
		prefixes[prefix]++
	}
	if len(prefixes) != 3 || prefixes["x"] == 0 || prefixes["y"] == 0 || prefixes["gamma"] == 0 {
		t.Errorf("prefixes %v", prefixes)
	}
	fresh := g.connect(nil)
	if invoke(t, fresh, "x__whoami", nil) != "gamma" || invoke(t, fresh, "y__whoami", nil) != "alpha" {
		t.Error("a new session does not follow the file")
	}
}

func TestServerThatComesBackWithMore(t *testing.T) {
	a, b := newServer(t, "alpha"), newServer(t, "beta")
	full := a.Server
	a.Server = sdk.NewServer(&sdk.Implementation{Name: "alpha", Version: "1"}, nil)
	sdk.AddTool(a.Server, &sdk.Tool{Name: "only"}, func(_ context.Context, _ *sdk.CallToolRequest, _ struct{}) (*sdk.CallToolResult, any, error) {
		return nil, nil, nil
	})
	a.forget()
	little := a.Server
	t.Cleanup(func() {
		for session := range little.Sessions() {
			session.Close()
		}
	})
	g := newGateway(t, nil, a.backend("alpha"), b.backend("beta"))
	c := g.connect(nil)
	if prompts, err := c.ListPrompts(within(t), nil); err != nil || len(prompts.Prompts) == 0 {
		t.Fatal(prompts, err)
	}
	a.Server = full
	a.forget()
	if _, err := c.ListTools(within(t), nil); err != nil {
		t.Fatal(err)
	}
	prompts, err := c.ListPrompts(within(t), nil)
	if err != nil || !strings.HasPrefix(prompts.Prompts[0].Name, "alpha__") {
		t.Error(prompts.Prompts, err)
	}
}

func TestServerThatRepeatsItsCursorIsWalkedOnce(t *testing.T) {
	var list strings.Builder
	for i := range federation.PageItems + 500 {
		if i > 0 {
			list.WriteByte(',')
		}
		list.WriteString(`{"name":"t","inputSchema":{"type":"object"}}`)
	}
	raw := newRawServer(t, func(string) string { return `{"tools":[` + list.String() + `],"nextCursor":"again"}` })
	a := newServer(t, "alpha")
	g := newGateway(t, nil, backend{name: "raw", endpoints: []string{raw.url}}, a.backend("alpha"))
	id, cursor := g.initialize(), ""
	for pages := 1; ; pages++ {
		_, body := g.post(`{"jsonrpc":"2.0","id":1,"method":"tools/list"`+cursor+`}`, spec.HeaderSession, id)
		_, after, more := strings.Cut(body, `"nextCursor":"`)
		if !more {
			break
		}
		if pages > 10 {
			t.Fatal("the list has no end")
		}
		next, _, _ := strings.Cut(after, `"`)
		cursor = `,"params":{"cursor":"` + next + `"}`
	}
}

func TestNewToolIsFoundWithoutPrefixes(t *testing.T) {
	a, b := newServer(t, "alpha"), newServer(t, "beta")
	g := newGateway(t, func(c *Config) { c.Namespace = "never" }, a.backend("alpha"), b.backend("beta"))
	g.post(listBody)
	addTools(b, 1)
	_, body := g.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"extra-0000"}}`)
	if strings.Contains(body, "-32602") {
		t.Error(body)
	}
}
