package routes

import (
	"reflect"
	"runtime"
	"slices"
	"testing"
	"weak"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/mcp"
)

func TestActionsThatAnswerThemselves(t *testing.T) {
	g := start(t, `
routes:
- {match: {path: /health}, health: live}
- {match: {path: /ready}, health: ready}
- {match: {path: /hello}, respond: {body: "hello\n"}, response_headers: {set: {X-One: "1"}}}
- {match: {path: /gone}, respond: {status: 410, body: "{}", content_type: application/json}}
- {match: {path: /empty}, respond: {status: 204}}
- {match: {path_prefix: /https}, redirect: {scheme: https}}
- {match: {path_prefix: /host}, redirect: {host: "www.example.com:8443", status: 301}}
- {match: {path_prefix: /path}, redirect: {path: "/new?a=b", status: 302}}
`)
	for _, c := range []struct {
		path, body, contentType, location string
		status                            int
	}{
		{"/health", "ok\n", "text/plain; charset=utf-8", "", 200},
		{"/ready", "ok\n", "text/plain; charset=utf-8", "", 200},
		{"/hello", "hello\n", "text/plain", "", 200},
		{"/gone", "{}", "application/json", "", 410},
		{"/empty", "", "", "", 204},
		{"/https/a%20b?q=1", "", "", "https://example.com/https/a%20b?q=1", 308},
		{"/host/x", "", "", "http://www.example.com:8443/host/x", 301},
		{"/path/x?q", "", "", "http://example.com:80/new?a=b&q", 302},
	} {
		a := g.get(c.path, "Host", "example.com:80")
		if a.StatusCode != c.status || a.body != c.body || a.Header.Get("Content-Type") != c.contentType || a.Header.Get("Location") != c.location {
			t.Errorf("%s: %d %q %v", c.path, a.StatusCode, a.body, a.Header)
		}
	}
	if a := g.get("/hello"); a.Header.Get("X-One") != "1" {
		t.Errorf("edits of a fixed answer: %v", a.Header)
	}
}

func TestReadinessFollowsTheProcess(t *testing.T) {
	ready := false
	rt, err := NewRouter([]Config{{Match: Match{Path: "/"}, Health: "ready"}}, Deps{Ready: func() bool { return ready }})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	for _, want := range []int{503, 200} {
		if got := statusOf(rt.Handler("any"), "GET", "/"); got != want {
			t.Errorf("ready %v: %d, want %d", ready, got, want)
		}
		ready = true
	}
}

// A handler that kept its Deps would keep every generation before its own.
func TestNoActionKeepsTheRouterBefore(t *testing.T) {
	s, err := load(t, `
routes:
- {match: {path: /}, mcp: {clusters: [up]}}
- {match: {path: /}, cluster: up}
- {match: {path: /}, health: ready}
- {match: {path: /}, redirect: {path: /to}}
- {match: {path: /}, respond: {}}
clusters: [{name: up, endpoints: ['http://127.0.0.1:1']}]
`)
	if err != nil || len(s.Routes) != len(actions) {
		t.Fatalf("%d routes for %d actions: %v", len(s.Routes), len(actions), err)
	}
	set, err := clusters.NewSet(s.Clusters, nil, clusters.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Release()
	hub := mcp.NewHub(mcp.Options{})
	defer hub.Close(t.Context())
	handler := func(c *Config) (*mcp.Handler, error) {
		return hub.NewHandler(mcp.HandlerConfig{Config: c.MCP, Clusters: set})
	}
	for i := range s.Routes {
		next := func(previous *Router) *Router {
			rt, err := NewRouter(s.Routes[i:i+1], Deps{Clusters: set, MCP: handler, Previous: previous})
			if err != nil {
				t.Fatal(err)
			}
			if previous != nil {
				previous.Close()
			}
			return rt
		}
		rt := next(nil)
		var old []weak.Pointer[Router]
		for range 3 {
			old = append(old, weak.Make(rt))
			rt = next(rt)
		}
		testkit.Eventually(t, "the routers before that of "+actions[i].key+" are collected", func() bool {
			runtime.GC()
			return !slices.ContainsFunc(old, func(p weak.Pointer[Router]) bool { return p.Value() != nil })
		})
		rt.Close()
	}
}

// A key of Config is an action, or one of these.
func TestEveryActionHasALineInTheTable(t *testing.T) {
	others := []string{
		"name", "listeners", "match", "auth", "timeout", "stream_idle_timeout", "retry", "rewrite", "path",
		"header_underscores", "request_headers", "response_headers",
	}
	for field := range reflect.TypeFor[Config]().Fields() {
		key := field.Tag.Get("yaml")
		inTable := slices.ContainsFunc(actions, func(a action) bool { return a.key == key })
		if inTable == slices.Contains(others, key) {
			t.Errorf("is %s an action? Then it needs a line in actions (action.go), else it is one of others (here)", key)
		}
	}
}
