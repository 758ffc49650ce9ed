package upstream

import (
	"bufio"
	"context"
	cryptotls "crypto/tls"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/clusters/process"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/tls"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

type input struct {
	Text string `json:"text,omitempty"`
	N    int    `json:"n,omitempty"`
}

func text(s string) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: s}}}
}

// hangs is the other end of the tool hang.
type hangs struct {
	began   chan chan struct{} // gets a channel that is closed when the call is cancelled
	release chan struct{}      // closed to end all
}

func newHangs() *hangs { return &hangs{make(chan chan struct{}, 10), make(chan struct{})} }

// newServer is an MCP server of the official SDK.
func newServer(h *hangs) *mcp.Server {
	s := mcp.NewServer(&mcp.Implementation{Name: "peer", Version: "1"}, nil)
	add := func(name string, do func(context.Context, *mcp.CallToolRequest, input) (*mcp.CallToolResult, error)) {
		mcp.AddTool(s, &mcp.Tool{Name: name}, func(ctx context.Context, req *mcp.CallToolRequest, in input) (*mcp.CallToolResult, any, error) {
			res, err := do(ctx, req, in)
			return res, nil, err
		})
	}
	add("echo", func(_ context.Context, req *mcp.CallToolRequest, in input) (*mcp.CallToolResult, error) {
		trace := ""
		if req.Extra != nil {
			trace = req.Extra.Header.Get("Traceparent")
		}
		return text(in.Text + trace), nil
	})
	add("progress", func(ctx context.Context, req *mcp.CallToolRequest, in input) (*mcp.CallToolResult, error) {
		for i := range in.N {
			err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: req.Params.GetProgressToken(), Progress: float64(i + 1)})
			if err != nil {
				return nil, err
			}
		}
		return text("done"), nil
	})
	add("ask", func(ctx context.Context, req *mcp.CallToolRequest, in input) (*mcp.CallToolResult, error) {
		res, err := req.Session.Elicit(ctx, &mcp.ElicitParams{Message: in.Text, RequestedSchema: map[string]any{"type": "object"}})
		if err != nil {
			return nil, err
		}
		return text(res.Action), nil
	})
	add("sample", func(ctx context.Context, req *mcp.CallToolRequest, in input) (*mcp.CallToolResult, error) {
		res, err := req.Session.CreateMessage(ctx, &mcp.CreateMessageParams{MaxTokens: 1, Messages: []*mcp.SamplingMessage{{Role: "user", Content: &mcp.TextContent{Text: in.Text}}}})
		if err != nil {
			return nil, err
		}
		return text(res.Content.(*mcp.TextContent).Text), nil
	})
	add("ping", func(ctx context.Context, req *mcp.CallToolRequest, _ input) (*mcp.CallToolResult, error) {
		return text("pong"), req.Session.Ping(ctx, nil)
	})
	add("grow", func(_ context.Context, _ *mcp.CallToolRequest, in input) (*mcp.CallToolResult, error) {
		mcp.AddTool(s, &mcp.Tool{Name: in.Text}, func(context.Context, *mcp.CallToolRequest, input) (*mcp.CallToolResult, any, error) {
			return text(""), nil, nil
		})
		return text("grown"), nil
	})
	add("poll", func(_ context.Context, req *mcp.CallToolRequest, in input) (*mcp.CallToolResult, error) {
		if req.Extra.CloseSSEStream != nil {
			req.Extra.CloseSSEStream(mcp.CloseSSEStreamArgs{RetryAfter: time.Duration(in.N) * time.Millisecond})
		}
		return text("polled"), nil
	})
	add("hang", func(ctx context.Context, _ *mcp.CallToolRequest, _ input) (*mcp.CallToolResult, error) {
		ended := make(chan struct{})
		h.began <- ended
		select {
		case <-ctx.Done():
			close(ended)
		case <-h.release:
		}
		return text("hung"), nil
	})
	return s
}

func streamableHandler(s *mcp.Server, opts *mcp.StreamableHTTPOptions) http.Handler {
	return mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, opts)
}

func sseHandler(s *mcp.Server) http.Handler {
	return mcp.NewSSEHandler(func(*http.Request) *mcp.Server { return s }, nil)
}

// oddServer is a stdio server that does what it is told to by the method: a
// line that is no message, an answer in several lines, a line without end.
func oddServer() {
	in := bufio.NewScanner(os.Stdin)
	var later jsonrpc.ID
	for in.Scan() {
		m, err := jsonrpc.Parse(in.Bytes())
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			continue
		}
		if m.IsError() {
			fmt.Printf(`{"jsonrpc":"2.0","method":"refused","params":{"id":%s,"code":%d}}`+"\n", m.ID(), m.ErrorCode())
		}
		switch m.Method() {
		case "initialize":
			fmt.Println("Starting up…")
			fmt.Printf(`{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{}}}`+"\r\n", m.ID())
		case "exit":
			os.Exit(3)
		case "deaf": // what is written to it from now on, it cannot get
			os.Stdin.Close()
			fmt.Println(string(jsonrpc.NewResult(m.ID(), nil)))
			time.Sleep(200 * time.Millisecond)
			return
		case "later":
			later = m.ID()
			fmt.Println(`{"jsonrpc":"2.0","method":"waiting"}`)
		case "release":
			fmt.Println(string(jsonrpc.NewResult(later, nil)))
			fmt.Println(string(jsonrpc.NewResult(m.ID(), nil)))
		case "lines": // as they are
			for _, l := range m.Params().Get("lines").Each {
				line := strings.NewReplacer("%id", m.ID().String(), "%ff", "\xff", "%long", strings.Repeat("x", 10000)).Replace(l.String())
				fmt.Println(line)
			}
		case "foreign":
			fmt.Println(`{"jsonrpc":"2.0","id":"no such call","result":{}}`)
			fmt.Println(string(jsonrpc.NewResult(m.ID(), nil)))
		}
	}
}

// peer is an HTTP server that lets only clients with a certificate in, and
// notes which.
type peer struct {
	*httptest.Server
	client      *tls.ClientConfig
	connections atomic.Int64

	mu      sync.Mutex
	clients map[string]int
	methods []string
}

// strictPeer starts a peer that speaks protocol, h2 or http/1.1.
func strictPeer(t testing.TB, protocol string, handler http.Handler) *peer {
	t.Helper()
	ca := tlstest.NewCA(t, "Test CA")
	p := &peer{clients: map[string]int{}}
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.clients[r.TLS.PeerCertificates[0].Subject.CommonName]++
		p.methods = append(p.methods, r.Method)
		p.mu.Unlock()
		handler.ServeHTTP(w, r)
	}))
	cert, key := ca.Server(t, "localhost", "127.0.0.1")
	p.TLS = &cryptotls.Config{
		Certificates: []cryptotls.Certificate{tlstest.Certificate(t, cert, key)},
		ClientAuth:   cryptotls.RequireAndVerifyClientCert,
		ClientCAs:    ca.Pool(),
	}
	p.Config.ErrorLog = log.New(io.Discard, "", 0)
	p.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			p.connections.Add(1)
		}
	}
	p.EnableHTTP2 = protocol == "h2"
	p.StartTLS()
	t.Cleanup(p.Close)
	cert, key = ca.Client(t, "gateway")
	p.client = &tls.ClientConfig{
		CACert:     config.File{Path: "/ca.crt", Data: ca.PEM()},
		ClientCert: config.File{Path: "/client.crt", Data: cert},
		ClientKey:  config.Secret{File: config.File{Path: "/client.key", Data: key}},
		MinVersion: "1.2",
	}
	return p
}

// seen returns how many requests each client made.
func (p *peer) seen() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.clients)
}

// count returns how many requests had the method.
func (p *peer) count(method string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.methods {
		if m == method {
			n++
		}
	}
	return n
}

// plainPeer is an HTTP server without TLS.
func plainPeer(t testing.TB, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s
}

// cluster makes and commits a cluster of one endpoint, for the test's life.
func cluster(t testing.TB, change func(*clusters.Config)) (*clusters.Cluster, *clusters.Endpoint) {
	t.Helper()
	set := clusterSet(t, nil, change)
	c, _ := set.Get("peer")
	return c, c.Endpoints()[0]
}

func clusterSet(t testing.TB, previous *clusters.Set, change func(*clusters.Config)) *clusters.Set {
	t.Helper()
	var cfg clusters.Config
	if err := config.Defaults(&cfg); err != nil {
		t.Fatal(err)
	}
	cfg.Name = "peer"
	change(&cfg)
	set, err := clusters.NewSet([]clusters.Config{cfg}, previous, clusters.Options{
		Environ: os.Environ(),
		Trace:   clusters.Trace{Process: process.Trace{Stderr: func(_, line string) { t.Logf("stderr: %s", line) }}},
	})
	if err != nil {
		t.Fatal(err)
	}
	set.Commit()
	t.Cleanup(set.Release)
	return set
}

// at is a change that names the one endpoint of a cluster.
func at(url string) func(*clusters.Config) {
	return func(c *clusters.Config) { c.Endpoints = []string{url} }
}

func (p *peer) at(path string) func(*clusters.Config) {
	return func(c *clusters.Config) { c.Endpoints, c.TLS = []string{p.URL + path}, p.client }
}

func command(role string) func(*clusters.Config) {
	return func(c *clusters.Config) { runSelf(c, role) }
}

// runSelf makes this program the server of a cluster. With the race detector it
// would sleep for a second before it exits.
func runSelf(c *clusters.Config, args ...string) {
	c.Command = append([]string{os.Args[0]}, args...)
	c.Env = map[string]config.Value{"GORACE": {Text: "atexit_sleep_ms=50"}}
}

// session is a Session and what came that belongs to no call.
type session struct {
	*Session
	t        testing.TB
	messages chan *jsonrpc.Message
	ignored  chan error
	closed   chan error
	backoff  *process.Backoff
}

// settings are what a test opens a session with.
type settings struct {
	Options
	client *Client
}

const initParams = `{"protocolVersion":"2025-11-25","capabilities":{"sampling":{},"elicitation":{},"roots":{}},"clientInfo":{"name":"test","version":"0"}}`

func open(t testing.TB, c *clusters.Cluster, e *clusters.Endpoint, change ...func(*settings)) (*session, error) {
	t.Helper()
	s := &session{t: t, messages: make(chan *jsonrpc.Message, 100), ignored: make(chan error, 100), closed: make(chan error, 1)}
	opts := settings{client: new(Client), Options: Options{
		Init:      []byte(initParams),
		OnMessage: func(m *jsonrpc.Message) { s.messages <- m },
		OnIgnored: func(err error, _ bool) { s.ignored <- err },
		OnClose:   func(err error) { s.closed <- err },
	}}
	for _, f := range change {
		f(&opts)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var err error
	s.backoff = opts.Backoff
	s.Session, err = opts.client.Open(ctx, c, e, opts.Options)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		s.Close(ctx)
	})
	return s, nil
}

func mustOpen(t testing.TB, c *clusters.Cluster, e *clusters.Endpoint, change ...func(*settings)) *session {
	t.Helper()
	s, err := open(t, c, e, change...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// tool calls a tool and returns the text of its answer.
func (s *session) tool(ctx context.Context, name, arguments string, on func(*jsonrpc.Message)) (string, error) {
	id := s.NextID()
	params := `{"name":"` + name + `","arguments":` + arguments + `,"_meta":{"progressToken":"t"}}`
	m, err := s.Call(ctx, jsonrpc.NewRequest(id, "tools/call", []byte(params)), id, on)
	if err != nil {
		return "", err
	}
	if m.ID() != id {
		s.t.Errorf("the response to %s has the id %s", id, m.ID())
	}
	for _, content := range m.Result().Get("content").Each {
		return content.Get("text").String(), nil
	}
	return "", fmt.Errorf("answer: %s", m.Raw())
}

func (s *session) mustTool(name, arguments string, on func(*jsonrpc.Message)) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	out, err := s.tool(ctx, name, arguments, on)
	if err != nil {
		s.t.Fatalf("call %s: %v", name, err)
	}
	return out
}
