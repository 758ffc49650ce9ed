package mcp

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// asServer makes the test binary an MCP server on its stdin and stdout.
const asServer = "MCP_TEST_SERVER"

func TestMain(m *testing.M) {
	if name := os.Getenv(asServer); name != "" {
		s := &server{canceled: make(chan struct{}, 16), waiting: make(chan struct{}, 16), released: make(chan struct{})}
		if err := s.build(name).Run(context.Background(), &sdk.StdioTransport{}); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// stdio is a cluster whose server is a child process.
func stdio(name string) backend {
	return backend{name: name, command: []string{os.Args[0]}, env: map[string]config.Value{
		asServer: {Text: name},
		"GORACE": {Text: "atexit_sleep_ms=50"}, // else each server sleeps for a second before it exits
	}}
}

// gateway is a hub with one route, whose generation tests can change.
type gateway struct {
	t       testing.TB
	hub     *Hub
	server  *httptest.Server
	url     string
	current atomic.Pointer[Handler]
	cfg     *Config // of the last commit
	set     *clusters.Set
	sets    []*clusters.Set // of all generations
	trace   *facts
	opts    clusters.Options
	serving atomic.Int64 // requests
}

// backend is a cluster of a test.
type backend struct {
	name      string
	prefix    string
	endpoints []string
	command   []string
	transport string
	protocol  string
	headers   map[string]config.Value
	env       map[string]config.Value
	tune      func(*clusters.Config)
}

func newGateway(t testing.TB, tune func(*Config), backends ...backend) *gateway {
	t.Helper()
	return newGatewayWith(t, clusters.Options{}, tune, backends...)
}

// newGatewayWith is newGateway with options for the clusters.
func newGatewayWith(t testing.TB, opts clusters.Options, tune func(*Config), backends ...backend) *gateway {
	t.Helper()
	g := &gateway{t: t, trace: new(facts), opts: opts}
	g.hub = NewHub(Options{Name: "mcpgateway", Version: "test", Trace: g.trace.trace()})
	g.commit(tune, backends...)
	g.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Tests say who they are; in the gateway a filter does.
		if user := r.Header.Get("Test-User"); user != "" {
			r = r.WithContext(filter.WithPrincipal(r.Context(), filter.Principal{Kind: filter.JWT, Issuer: "test", Subject: user}))
		}
		g.serving.Add(1)
		defer g.serving.Add(-1)
		h := g.current.Load()
		h.Guard(h).ServeHTTP(w, r)
	}))
	g.url = g.server.URL + "/mcp"
	t.Cleanup(g.close)
	return g
}

func (g *gateway) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	g.hub.Close(ctx)
	g.server.Close()
	for _, set := range g.sets {
		set.Release()
	}
	for _, set := range g.sets {
		if err := set.Wait(ctx); err != nil {
			g.t.Error(err)
		}
	}
	if ctx.Err() != nil {
		g.t.Error("closing the hub took too long")
	}
}

// commit puts a new generation in force.
func (g *gateway) commit(tune func(*Config), backends ...backend) {
	g.t.Helper()
	var cfg Config
	var cfgs []clusters.Config
	for _, b := range backends {
		cfg.Clusters = append(cfg.Clusters, federation.Member{Name: b.name, Prefix: b.prefix})
		c := clusters.Config{Name: b.name, Endpoints: b.endpoints, Command: b.command, Headers: b.headers, Env: b.env}
		if err := config.Defaults(&c); err != nil {
			g.t.Fatal(err)
		}
		if b.transport != "" {
			c.MCP.Transport = b.transport
		}
		if b.protocol != "" {
			c.MCP.Protocol = b.protocol
		}
		if b.tune != nil {
			b.tune(&c)
		}
		cfgs = append(cfgs, c)
	}
	if err := config.Defaults(&cfg); err != nil {
		g.t.Fatal(err)
	}
	if tune != nil {
		tune(&cfg)
	}
	set, err := clusters.NewSet(cfgs, g.set, g.opts)
	if err != nil {
		g.t.Fatal(err)
	}
	handler, err := g.hub.NewHandler(HandlerConfig{Route: "test", Config: &cfg, Clusters: set})
	if err != nil {
		g.t.Fatal(err)
	}
	set.Commit()
	g.hub.Commit([]*Handler{handler})
	g.current.Store(handler)
	g.cfg = &cfg
	// A generation is released when its last request is through, which is not
	// counted here.
	g.sets = append(g.sets, set)
	g.set = set
}

// connect returns a session of the official SDK's client, of the spec.NewestLegacy
// revision that has sessions.
func (g *gateway) connect(opts *sdk.ClientOptions) *sdk.ClientSession {
	g.t.Helper()
	return g.connectAs("", opts)
}

func (g *gateway) connectAs(user string, opts *sdk.ClientOptions) *sdk.ClientSession {
	g.t.Helper()
	return g.dial(user, spec.NewestLegacy, opts)
}

// dial returns a session that speaks the given revision.
func (g *gateway) dial(user, version string, opts *sdk.ClientOptions) *sdk.ClientSession {
	g.t.Helper()
	transport := &http.Transport{}
	g.t.Cleanup(transport.CloseIdleConnections)
	client := sdk.NewClient(&sdk.Implementation{Name: "tester", Version: "1"}, opts)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	session, err := client.Connect(ctx, &sdk.StreamableClientTransport{
		Endpoint:   g.url,
		HTTPClient: &http.Client{Transport: asUser{user, transport}},
	}, &sdk.ClientSessionOptions{ProtocolVersion: version})
	if err != nil {
		g.t.Fatalf("connect: %v", err)
	}
	g.t.Cleanup(func() { session.Close() })
	return session
}

type asUser struct {
	user string
	next http.RoundTripper
}

func (a asUser) RoundTrip(r *http.Request) (*http.Response, error) {
	if a.user != "" {
		r = r.Clone(r.Context())
		r.Header.Set("Test-User", a.user)
	}
	return a.next.RoundTrip(r)
}

// post sends a message as curl does, and returns the answer.
func (g *gateway) post(body string, headers ...string) (*http.Response, string) {
	g.t.Helper()
	return g.do(http.MethodPost, body, headers...)
}

func (g *gateway) do(method, body string, headers ...string) (*http.Response, string) {
	g.t.Helper()
	req, err := http.NewRequest(method, g.url, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "*/*")
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
			continue
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := g.server.Client().Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return res, string(b)
}

const initBody = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}`

// initialize begins a session without an SDK, and returns its id.
func (g *gateway) initialize(headers ...string) string {
	g.t.Helper()
	res, body := g.post(initBody, headers...)
	id := res.Header.Get(spec.HeaderSession)
	if res.StatusCode != http.StatusOK || id == "" {
		g.t.Fatalf("initialize: %d %s", res.StatusCode, body)
	}
	return id
}

// facts collects what the trace says.
type facts struct {
	mu   sync.Mutex
	list []string
}

func (f *facts) add(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, fmt.Sprintf(format, args...))
}

func (f *facts) all() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.list...)
}

func (f *facts) has(part string) bool {
	for _, line := range f.all() {
		if strings.Contains(line, part) {
			return true
		}
	}
	return false
}

// count returns how many facts begin with a text.
func (f *facts) count(start string) (n int) {
	for _, line := range f.all() {
		if strings.HasPrefix(line, start) {
			n++
		}
	}
	return n
}

func (f *facts) trace() *Trace {
	return &Trace{
		SessionOpened: func(route string) { f.add("opened %s", route) },
		SessionClosed: func(route, reason string) { f.add("closed %s %s", route, reason) },
		StreamOpened:  func(route string) { f.add("stream+ %s", route) },
		StreamClosed:  func(route string) { f.add("stream- %s", route) },
		Upstream: func(route, cluster, endpoint string, err error) {
			f.add("upstream %s %s %s %v", route, cluster, endpoint, err)
		},
		UpstreamLost: func(route, cluster, endpoint string, err error) { f.add("lost %s %s", cluster, err) },
		Call: func(route, cluster, method, flag string, d time.Duration) {
			f.add("call %s %s %s", cluster, method, flag)
		},
		Unavailable: func(route, method string, clusters []string, err error) {
			f.add("unavailable %s %v %v", method, clusters, err)
		},
		Name: func(route, cluster, kind, name, reason string) {
			f.add("name %s %s %s: %s", cluster, kind, name, reason)
		},
		ToolChanged: func(route, cluster, tool, before, after string) {
			f.add("changed %s %s %s %s", cluster, tool, before, after)
		},
		ServerRequest: func(route, cluster, method string, err error) { f.add("asked %s %s %v", cluster, method, err) },
	}
}

// within returns a context that ends with the test, or after a while.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}
