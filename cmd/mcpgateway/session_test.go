package main_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// world is a gateway in front of strict MCP servers, with certificates of one
// CA, and its file in parts that tests edit.
type world struct {
	*gateway
	ca      *tlstest.CA
	one     *strictServer
	two     *strictServer
	dir     string
	limits  string
	route   string
	members string
	more    string
	// mcp is added to the route's block mcp.
	mcp string
	// extra is added to the definition of cluster one.
	extra string
	path  string
}

// newWorld starts two servers, and the gateway with cluster one on /mcp.
func newWorld(t *testing.T, env ...string) *world { return newWorldOf(t, "/mcp", streamable, env...) }

// newWorldOf does so with servers of another transport.
func newWorldOf(t *testing.T, path string, transport func(*mcp.Server) http.Handler, env ...string) *world {
	t.Helper()
	w := &world{ca: tlstest.NewCA(t, "Test CA"), dir: shortDir(t), members: "one", path: path}
	w.one = w.serve(t, transport(tools("one")))
	w.two = w.serve(t, transport(tools("two")))
	writeFile(t, w.dir, "ca.crt", w.ca.PEM())
	w.issueServer(t)
	w.issueClient(t, "one", "client one")
	w.issueClient(t, "two", "client two")
	w.gateway = start(t, w.dir, w.yaml(), env...)
	return w
}

// serve starts a strict server of this world.
func (w *world) serve(t *testing.T, h http.Handler) *strictServer {
	t.Helper()
	cert, key := w.ca.Server(t, "localhost", "127.0.0.1")
	return strict(t, "127.0.0.1:0", w.ca.PEM(), cert, key, h)
}

// issueServer writes a new pair for the gateway's listener.
func (w *world) issueServer(t testing.TB) {
	cert, key := w.ca.Server(t, "localhost", "127.0.0.1")
	writeFile(t, w.dir, "server.crt", cert)
	writeFile(t, w.dir, "server.key", key)
}

// issueClient writes a new pair for a cluster's connections.
func (w *world) issueClient(t testing.TB, cluster, cn string) {
	cert, key := w.ca.Client(t, cn)
	writeFile(t, w.dir, cluster+".crt", cert)
	writeFile(t, w.dir, cluster+".key", key)
}

// everyVersion makes the route offer the revision without sessions in front of
// servers that have them.
const everyVersion = ", versions: [2026-07-28, 2025-11-25, 2025-06-18, 2025-03-26]"

func (w *world) yaml() string {
	return fmt.Sprintf(`
reload: {watch: false}
drain: {timeout: 5s, close_spread: 100ms}
listeners:
  - name: public
    address: 127.0.0.1:0
    protocols: [http/1.1, h2, h3]
    tls: {certificates: [{cert: server.crt, key: server.key}]}
    limits: {%s}
routes:
  - name: tools
    match: {path: /mcp}
    mcp: {clusters: [%s]%s}
%s
  - match: {path: /health}
    health: ready
clusters:
%s
%s`, w.limits, w.members, w.mcp, w.route, w.cluster("one", w.one, w.extra)+w.cluster("two", w.two, ""), w.more)
}

func (w *world) cluster(name string, s *strictServer, extra string) string {
	return fmt.Sprintf(`  - name: %s
    endpoints: ["https://127.0.0.1:%s%s"]
    tls: {ca_cert: ca.crt, client_cert: %s.crt, client_key: %s.key}
    health_check: {interval: 100ms, healthy_threshold: 1}
    %s
`, name, s.port(), w.path, name, name, extra)
}

// caller is one session of the official SDK that calls all the time.
type caller struct {
	session *mcp.ClientSession
	hc      *http.Client // nil over other transports
	changed chan struct{}
	calls   atomic.Int64
	failed  atomic.Pointer[error]
	cancel  context.CancelFunc
	done    chan struct{}
}

// connect opens the session; calls names the tool to call all the time, or "".
func (w *world) connect(t testing.TB, tool string) *caller {
	t.Helper()
	hc := client(t, w.ca.PEM(), "http/1.1")
	hc.Transport.(*http.Transport).Protocols.SetHTTP2(true)
	c := callOver(t, tool, &mcp.StreamableClientTransport{Endpoint: "https://" + w.address("public") + "/mcp", HTTPClient: hc})
	c.hc = hc
	return c
}

// callOver opens a session over a transport.
func callOver(t testing.TB, tool string, transport mcp.Transport) *caller {
	t.Helper()
	c := &caller{changed: make(chan struct{}, 100), done: make(chan struct{})}
	sdk := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ClientOptions{
		ToolListChangedHandler: func(context.Context, *mcp.ToolListChangedRequest) { c.changed <- struct{}{} },
		ElicitationHandler: func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			return &mcp.ElicitResult{Action: "accept"}, nil
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	session, err := sdk.Connect(ctx, transport, &mcp.ClientSessionOptions{ProtocolVersion: "2025-11-25"})
	if err != nil {
		t.Fatalf("connecting: %v", err)
	}
	c.session = session
	go func() {
		defer close(c.done)
		for ctx.Err() == nil && tool != "" {
			if err := c.call(ctx, tool); err != nil && ctx.Err() == nil {
				c.failed.Store(&err)
				return
			}
			c.calls.Add(1)
			time.Sleep(5 * time.Millisecond)
		}
	}()
	t.Cleanup(func() { c.stop(t) })
	return c
}

func (c *caller) call(ctx context.Context, tool string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := c.session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: map[string]any{"text": "hi"}})
	if err != nil {
		return err
	}
	if r.IsError || !strings.Contains(r.Content[0].(*mcp.TextContent).Text, "hi") {
		return fmt.Errorf("wrong answer: %+v", r.Content[0])
	}
	return nil
}

// more waits until n further calls have come back.
func (c *caller) more(t testing.TB, n int64) {
	t.Helper()
	goal := c.calls.Load() + n
	eventually(t, "further calls", func() error {
		if err := c.failed.Load(); err != nil {
			return fatal{fmt.Errorf("a call failed: %w", *err)}
		}
		if c.calls.Load() < goal {
			return fmt.Errorf("%d of %d", c.calls.Load(), goal)
		}
		return nil
	})
}

func (c *caller) stop(t testing.TB) {
	c.cancel()
	<-c.done
	c.session.Close()
	if c.hc != nil {
		c.hc.CloseIdleConnections() // they weigh something
	}
	if err := c.failed.Load(); err != nil {
		t.Errorf("a call failed: %v", *err)
	}
}

func (c *caller) toolNames(t testing.TB) []string {
	t.Helper()
	r, err := c.session.ListTools(context.Background(), nil)
	if err != nil {
		t.Fatalf("tools/list: %v", err)
	}
	var names []string
	for _, tool := range r.Tools {
		names = append(names, tool.Name)
	}
	slices.Sort(names)
	return names
}

func (c *caller) expectChanged(t testing.TB) {
	t.Helper()
	select {
	case <-c.changed:
	case <-time.After(10 * time.Second):
		t.Fatal("list_changed did not come")
	}
}

func TestOneSessionLastsOverEveryChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.connect(t, "echo")
	defer c.stop(t) // before the endpoint ends to which the cluster moves
	c.more(t, 5)
	id := c.session.ID()

	for _, step := range []struct {
		name   string
		change func()
		check  func()
	}{
		{"the gateway's certificate rotates", func() { w.issueServer(t) }, nil},
		{"the cluster's client certificate rotates", func() { w.issueClient(t, "one", "client one again") }, func() {
			eventually(t, "the new identity", func() error {
				if !slices.Contains(w.one.seen(), "client one again") {
					return fmt.Errorf("not seen")
				}
				return nil
			})
		}},
		{"the cluster's headers and balancing change", func() { w.extra = "headers: {X-Round: \"1\"}\n    load_balancing: round_robin" }, nil},
		{"the cluster moves to another endpoint", func() { w.one = w.serve(t, streamable(tools("one"))) }, func() {
			if len(w.one.seen()) == 0 {
				t.Error("the new endpoint was not asked")
			}
		}},
		{"the log changes", func() { w.more = "log: {level: debug}" }, nil},
		{"a route is edited", func() { w.route = "  - match: {path: /hello}\n    respond: {status: 200, body: hello}" }, nil},
		{"a cluster is added", func() { w.members = "one, two" }, func() {
			c.expectChanged(t)
			if names := c.toolNames(t); !slices.Contains(names, "two__echo") || !slices.Contains(names, "echo") {
				t.Errorf("the session has the tools %v; want the old names and the new cluster's, prefixed", names)
			}
			if r, err := c.session.CallTool(context.Background(), &mcp.CallToolParams{Name: "two__echo", Arguments: map[string]any{"text": "hi"}}); err != nil || r.IsError {
				t.Errorf("calling the added cluster: %v, %+v", err, r)
			}
		}},
		{"the listener's definition changes", func() { w.limits = "idle_timeout: 1m" }, nil},
		{"a cluster is removed", func() { w.members = "one" }, func() {
			c.expectChanged(t)
			if names := c.toolNames(t); slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "two__") }) {
				t.Errorf("the removed cluster's tools are still there: %v", names)
			}
			if _, err := c.session.CallTool(context.Background(), &mcp.CallToolParams{Name: "two__echo", Arguments: map[string]any{"text": "hi"}}); err == nil {
				t.Error("the removed cluster's tool could be called")
			}
		}},
	} {
		step.change()
		w.mustApply(w.yaml())
		c.more(t, 20)
		if step.check != nil {
			step.check()
		}
		if t.Failed() {
			t.Fatalf("when %s", step.name)
		}
	}
	if c.session.ID() != id {
		t.Errorf("the session is another one")
	}
}

// A session of the old transport is bound to its stream, and moves to the new
// identity when nothing is in flight.
func TestASessionOverHTTPSSELastsOverARotation(t *testing.T) {
	t.Parallel()
	w := newWorldOf(t, "/sse", sse)
	c := w.connect(t, "echo")
	c.more(t, 5)
	w.issueClient(t, "one", "client one again")
	w.mustApply(w.yaml())
	c.more(t, 20)
	eventually(t, "the new identity", func() error {
		if !slices.Contains(w.one.seen(), "client one again") {
			return fmt.Errorf("not seen")
		}
		return nil
	})
	c.more(t, 20)
}

// Everything that goes to a cluster shows the cluster's own certificate.
func TestEveryConnectionShowsTheClustersOwnCertificate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := &plainAPI{}
	cert, key := w.ca.Server(t, "127.0.0.1")
	plain := strict(t, "127.0.0.1:0", w.ca.PEM(), cert, key, api)
	w.issueClient(t, "api", "client api")
	w.members = "one, two"
	w.route = `  - match: {path_prefix: /api}
    cluster: api
    retry: {attempts: 3}`
	w.more = fmt.Sprintf(`
  - name: api
    endpoints: ["https://127.0.0.1:%s"]
    tls: {ca_cert: ca.crt, client_cert: api.crt, client_key: api.key}
    health_check: {kind: http, path: /ok, interval: 50ms, healthy_threshold: 1}
`, plain.port())
	w.mustApply(w.yaml())
	c := w.connect(t, "")
	base := "https://" + w.address("public") + "/api"

	exercise := func() {
		t.Helper()
		ctx := context.Background()
		for _, cluster := range []string{"one", "two"} {
			if r, err := c.session.CallTool(ctx, &mcp.CallToolParams{Name: cluster + "__" + "echo", Arguments: map[string]any{"text": "x"}}); err != nil || r.IsError {
				t.Fatalf("tools/call: %v %+v", err, r)
			}
			if r, err := c.session.CallTool(ctx, &mcp.CallToolParams{Name: cluster + "__" + "ask", Arguments: map[string]any{"text": "well?"}}); err != nil || r.IsError {
				t.Fatalf("elicitation: %v %+v", err, r)
			}
			if _, err := c.session.GetPrompt(ctx, &mcp.GetPromptParams{Name: cluster + "__" + "greet"}); err != nil {
				t.Fatalf("prompts/get: %v", err)
			}
			if _, err := c.session.ReadResource(ctx, &mcp.ReadResourceParams{URI: cluster + "+note://" + cluster}); err != nil {
				t.Fatalf("resources/read: %v", err)
			}
		}
		for _, protocol := range []string{"http/1.1", "h2"} {
			hc := client(t, w.ca.PEM(), protocol)
			open(t, api, base, protocol, hc).finish()
			resp, err := hc.Get(base + "/flaky?name=" + fmt.Sprint(protocol, time.Now().UnixNano()))
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Fatalf("retry: %v %+v", err, resp)
			}
			resp.Body.Close()
		}
	}
	expect := func(server *strictServer, want string) {
		t.Helper()
		peers := server.seen()
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
	expect(w.one, "client one")
	expect(w.two, "client two")
	expect(plain, "client api")

	w.issueClient(t, "one", "client one, later")
	w.issueClient(t, "api", "client api, later")
	w.mustApply(w.yaml())
	// Connections that were being opened as the generation changed are done.
	one, two := false, false
	w.eventually("the new identities", func() error {
		one, two = one || slices.Contains(w.one.seen(), "client one, later"), two || slices.Contains(plain.seen(), "client api, later")
		if !one || !two {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	exercise()
	for _, p := range append(w.one.seen(), plain.seen()...) {
		if !strings.HasSuffix(p, ", later") {
			t.Errorf("after the rotation a connection came as %q", p)
		}
	}
	for _, p := range w.two.seen() {
		if p != "client two" {
			t.Errorf("a connection to cluster two came as %q", p)
		}
	}
}
