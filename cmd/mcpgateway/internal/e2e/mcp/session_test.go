package mcp_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
)

// everyVersion makes the route offer the revision without sessions in front of
// servers that have them.
const everyVersion = ", versions: [2026-07-28, 2025-11-25, 2025-06-18, 2025-03-26]"

func TestOneSessionLastsOverEveryChange(t *testing.T) {
	t.Parallel()
	w := harness.NewWorld(t)
	c := w.Connect(t, "echo")
	defer c.Stop(t) // before the endpoint ends to which the cluster moves
	c.More(t, 5)
	id := c.Session.ID()

	for _, step := range []struct {
		name   string
		change func()
		check  func()
	}{
		{"the gateway's certificate rotates", func() { w.IssueServer(t) }, nil},
		{"the cluster's client certificate rotates", func() { w.IssueClient(t, "one", "client one again") }, func() {
			testkit.Retry(t, "the new identity", func() error {
				if !slices.Contains(w.One.Seen(), "client one again") {
					return fmt.Errorf("not seen")
				}
				return nil
			})
		}},
		{"the cluster's headers and balancing change", func() { w.Extra = "headers: {X-Round: \"1\"}\n    load_balancing: round_robin" }, nil},
		{"the cluster moves to another endpoint", func() { w.One = w.Serve(t, harness.Streamable(harness.NewTools("one"))) }, func() {
			if len(w.One.Seen()) == 0 {
				t.Error("the new endpoint was not asked")
			}
		}},
		{"the log changes", func() { w.More = "log: {level: debug}" }, nil},
		{"a route is edited", func() { w.Route = "  - match: {path: /hello}\n    respond: {status: 200, body: hello}" }, nil},
		{"a cluster is added", func() { w.Members = "one, two" }, func() {
			c.ExpectChanged(t)
			if names := c.ToolNames(t); !slices.Contains(names, "two__echo") || !slices.Contains(names, "echo") {
				t.Errorf("the session has the tools %v; want the old names and the new cluster's, prefixed", names)
			}
			if r, err := c.Session.CallTool(context.Background(), &mcp.CallToolParams{Name: "two__echo", Arguments: map[string]any{"text": "hi"}}); err != nil || r.IsError {
				t.Errorf("calling the added cluster: %v, %+v", err, r)
			}
		}},
		{"the listener's definition changes", func() { w.Limits = "idle_timeout: 1m" }, func() {
			// Until its connection is told to go, within close_spread, the client is
			// served by the generation that accepted the connection.
			for end := time.Now().Add(2 * harness.CloseSpread); time.Now().Before(end); {
				c.More(t, 1)
			}
		}},
		{"a cluster is removed", func() { w.Members = "one" }, func() {
			c.ExpectChanged(t)
			if names := c.ToolNames(t); slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "two__") }) {
				t.Errorf("the removed cluster's tools are still there: %v", names)
			}
			if _, err := c.Session.CallTool(context.Background(), &mcp.CallToolParams{Name: "two__echo", Arguments: map[string]any{"text": "hi"}}); err == nil {
				t.Error("the removed cluster's tool could be called")
			}
		}},
	} {
		step.change()
		w.MustApply(w.YAML())
		c.More(t, 20)
		if step.check != nil {
			step.check()
		}
		if t.Failed() {
			t.Fatalf("when %s", step.name)
		}
	}
	if c.Session.ID() != id {
		t.Errorf("the session is another one")
	}
}

// A session of the old transport is bound to its stream, and moves to the new
// identity when nothing is in flight.
func TestASessionOverHTTPSSELastsOverARotation(t *testing.T) {
	t.Parallel()
	w := harness.NewWorldOf(t, "/sse", harness.SSE)
	c := w.Connect(t, "echo")
	c.More(t, 5)
	w.IssueClient(t, "one", "client one again")
	w.MustApply(w.YAML())
	c.More(t, 20)
	testkit.Retry(t, "the new identity", func() error {
		if !slices.Contains(w.One.Seen(), "client one again") {
			return fmt.Errorf("not seen")
		}
		return nil
	})
	c.More(t, 20)
}

// Everything that goes to a cluster shows the cluster's own certificate.
func TestEveryConnectionShowsTheClustersOwnCertificate(t *testing.T) {
	t.Parallel()
	w := harness.NewWorld(t)
	api := &harness.PlainAPI{}
	cert, key := w.CA.Server(t, "127.0.0.1")
	plain := harness.NewStrictServer(t, "127.0.0.1:0", w.CA.PEM(), cert, key, api)
	w.IssueClient(t, "api", "client api")
	w.Members = "one, two"
	w.Route = `  - match: {path_prefix: /api}
    cluster: api
    retry: {attempts: 3}`
	w.More = fmt.Sprintf(`
  - name: api
    endpoints: ["https://127.0.0.1:%s"]
    tls: {ca_cert: ca.crt, client_cert: api.crt, client_key: api.key}
    health_check: {kind: http, path: /ok, interval: 50ms, healthy_threshold: 1}
`, plain.Port())
	w.MustApply(w.YAML())
	c := w.Connect(t, "")
	base := "https://" + w.Address("public") + "/api"

	exercise := func() {
		t.Helper()
		ctx := context.Background()
		for _, cluster := range []string{"one", "two"} {
			if r, err := c.Session.CallTool(ctx, &mcp.CallToolParams{Name: cluster + "__" + "echo", Arguments: map[string]any{"text": "x"}}); err != nil || r.IsError {
				t.Fatalf("tools/call: %v %+v", err, r)
			}
			if r, err := c.Session.CallTool(ctx, &mcp.CallToolParams{Name: cluster + "__" + "ask", Arguments: map[string]any{"text": "well?"}}); err != nil || r.IsError {
				t.Fatalf("elicitation: %v %+v", err, r)
			}
			if _, err := c.Session.GetPrompt(ctx, &mcp.GetPromptParams{Name: cluster + "__" + "greet"}); err != nil {
				t.Fatalf("prompts/get: %v", err)
			}
			if _, err := c.Session.ReadResource(ctx, &mcp.ReadResourceParams{URI: cluster + "+note://" + cluster}); err != nil {
				t.Fatalf("resources/read: %v", err)
			}
		}
		for _, protocol := range []string{"http/1.1", "h2"} {
			hc := harness.Client(t, w.CA.PEM(), protocol)
			harness.Open(t, api, base, protocol, hc).Finish()
			resp, err := hc.Get(base + "/flaky?name=" + fmt.Sprint(protocol, time.Now().UnixNano()))
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Fatalf("retry: %v %+v", err, resp)
			}
			resp.Body.Close()
		}
	}
	expect := func(server *harness.StrictServer, want string) {
		t.Helper()
		peers := server.Seen()
		if len(peers) == 0 {
			t.Errorf("no client connected as %q", want)
		}
		for _, p := range peers {
			if p != want {
				t.Errorf("a connection came as %q, want %q", p, want)
			}
		}
	}
	exercise()
	expect(w.One, "client one")
	expect(w.Two, "client two")
	expect(plain, "client api")

	w.IssueClient(t, "one", "client one, later")
	w.IssueClient(t, "api", "client api, later")
	w.MustApply(w.YAML())
	// Connections that were being opened as the generation changed are done.
	one, two := false, false
	w.Eventually("the new identities", func() error {
		one, two = one || slices.Contains(w.One.Seen(), "client one, later"), two || slices.Contains(plain.Seen(), "client api, later")
		if !one || !two {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	exercise()
	for _, p := range append(w.One.Seen(), plain.Seen()...) {
		if !strings.HasSuffix(p, ", later") {
			t.Errorf("after the rotation a connection came as %q", p)
		}
	}
	for _, p := range w.Two.Seen() {
		if p != "client two" {
			t.Errorf("a connection to cluster two came as %q", p)
		}
	}
}
