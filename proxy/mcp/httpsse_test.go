package mcp

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/session"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// withStreamTransports serves the other transports too.
func withStreamTransports(c *Config) { c.SSE.Path, c.WebSocket.Path = "/sse", "/ws" }

// connectSSE returns a session of the official SDK's client of HTTP+SSE.
func (g *gateway) connectSSE(opts *sdk.ClientOptions) *sdk.ClientSession {
	g.t.Helper()
	transport := &http.Transport{}
	g.t.Cleanup(transport.CloseIdleConnections)
	client := sdk.NewClient(&sdk.Implementation{Name: "tester", Version: "1"}, opts)
	session, err := client.Connect(within(g.t), &sdk.SSEClientTransport{Endpoint: g.server.URL + "/sse", HTTPClient: &http.Client{Transport: transport}}, nil)
	if err != nil {
		g.t.Fatalf("connect: %v", err)
	}
	g.t.Cleanup(func() { session.Close() })
	return session
}

// rawSSE is a stream of HTTP+SSE without an SDK.
type rawSSE struct {
	g    *gateway
	res  *http.Response
	in   *bufio.Reader
	post string // where messages are posted to
}

func (g *gateway) openSSE(user string) *rawSSE {
	g.t.Helper()
	req, err := http.NewRequestWithContext(within(g.t), http.MethodGet, g.server.URL+"/sse", nil)
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Test-User", user)
	res, err := g.server.Client().Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { res.Body.Close() })
	s := &rawSSE{g: g, res: res, in: bufio.NewReader(res.Body)}
	name, data := s.next()
	if name != "endpoint" || !strings.HasPrefix(data, "/sse/message?sessionId=") {
		g.t.Fatalf("the first event is %s %s", name, data)
	}
	s.post = data
	return s
}

// next returns the next event; comments are skipped.
func (s *rawSSE) next() (name, data string) {
	s.g.t.Helper()
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			s.g.t.Fatalf("the stream ended: %v", err)
		}
		switch key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": "); key {
		case "event":
			name = value
		case "data":
			data = value
		case "id":
			s.g.t.Errorf("an event has the id %s", value)
		case "":
			if name != "" {
				return name, data
			}
		}
	}
}

func (s *rawSSE) send(body string, headers ...string) (int, string) {
	s.g.t.Helper()
	url := s.g.url
	s.g.url = s.g.server.URL + s.post
	defer func() { s.g.url = url }()
	res, answer := s.g.post(body, headers...)
	return res.StatusCode, answer
}

// ask sends a request and returns the next message.
func (s *rawSSE) ask(body string) string {
	s.g.t.Helper()
	if status, answer := s.send(body); status != http.StatusAccepted || answer != "" {
		s.g.t.Fatalf("%s: %d %s", body, status, answer)
	}
	_, data := s.next()
	return data
}

func initOf(version string) string { return strings.Replace(initBody, "2025-11-25", version, 1) }

func TestAClientOfHTTPSSESeesEveryFeature(t *testing.T) {
	a, b := newServer(t, "alpha"), newServer(t, "beta")
	g := newGateway(t, withStreamTransports, a.backend("alpha"), b.backend("beta"))
	var got seen
	c := g.connectSSE(got.options())
	testStreamTransport(t, g, c, &got, a)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	testkit.Eventually(t, "the session's end", func() bool { return g.hub.Stats()["test"] == Stats{} })
	testkit.Eventually(t, "the upstream sessions' end", func() bool { return a.deletes.Load() > 0 && b.deletes.Load() > 0 })
	if !g.trace.has("closed test closed") {
		t.Error(g.trace.all())
	}
}

// testStreamTransport has everything go both ways over the one stream of c.
func testStreamTransport(t *testing.T, g *gateway, c *sdk.ClientSession, got *seen, a *server) {
	t.Helper()
	if out := invoke(t, c, "beta__whoami", nil); out != "beta" {
		t.Error(out)
	}
	if out := invoke(t, c, "alpha__elicit", map[string]any{"person": "ann"}); !strings.Contains(out, "ann: accept re: ") {
		t.Error(out)
	}
	if out := invoke(t, c, "alpha__sample", nil); out != "sampled" {
		t.Error(out)
	}
	params := &sdk.CallToolParams{Name: "alpha__steps"}
	params.SetProgressToken("p")
	if res, err := c.CallTool(within(t), params); err != nil || res.IsError {
		t.Error(res, err)
	}
	testkit.Eventually(t, "progress", func() bool { return got.has("progress string p 3") })
	if err := c.Ping(within(t), nil); err != nil {
		t.Error(err)
	}
	a.AddTool(&sdk.Tool{Name: "later", InputSchema: map[string]any{"type": "object"}}, func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) { return nil, nil })
	testkit.Eventually(t, "list_changed", func() bool { return got.has("tools changed") })
	ctx, cancel := context.WithCancel(within(t))
	go func() { <-a.waiting; cancel() }()
	if _, err := c.CallTool(ctx, &sdk.CallToolParams{Name: "alpha__wait"}); err == nil {
		t.Error("a cancelled call was answered")
	}
	<-a.canceled
	if n := g.hub.Stats()["test"]; n.Sessions != 1 || n.Streams != 1 {
		t.Errorf("%+v", n)
	}
}

func TestHTTPSSENegotiatesEachRevision(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, withStreamTransports, a.backend("alpha"))
	for _, version := range []string{"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"} {
		s := g.openSSE("")
		if out := s.ask(`{"jsonrpc":"2.0","id":7,"method":"tools/list"}`); !strings.Contains(out, `"id":7,"error":{"code":-32600`) {
			t.Errorf("before initialize: %s", out)
		}
		if out := s.ask(`{"jsonrpc":"2.0","id":8,"method":"ping"}`); !strings.Contains(out, `"id":8,"result":{}`) {
			t.Errorf("ping: %s", out)
		}
		if out := s.ask(initOf(version)); !strings.Contains(out, `"protocolVersion":"`+version+`"`) {
			t.Error(out)
		}
		if out := s.ask(initOf(version)); !strings.Contains(out, "initialized already") {
			t.Error(out)
		}
		if out := s.ask(`{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"whoami"}}`); !strings.Contains(out, `"id":"x"`) || !strings.Contains(out, "alpha") {
			t.Error(out)
		}
		if out := s.ask(`{"jsonrpc":"2.0","id":8,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`); !strings.Contains(out, `"code":-32601`) {
			t.Errorf("discovery: %s", out)
		}
		if out := s.ask(`{"jsonrpc":"2.0","id":9,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`); !strings.Contains(out, `"code":-32022`) || !strings.Contains(out, `"2024-11-05"]`) {
			t.Errorf("a request of a revision without sessions: %s", out)
		}
		batch := `[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/initialized"},1]`
		status, answer := s.send(batch)
		if version != spec.Batches {
			if status != http.StatusBadRequest || !strings.Contains(answer, "-32600") {
				t.Errorf("a batch in %s: %d %s", version, status, answer)
			}
			continue
		}
		if _, out := s.next(); status != http.StatusAccepted || !strings.HasPrefix(out, `[{"jsonrpc":"2.0","id":1,"result":{}},{"jsonrpc":"2.0","id":null,"error":{"code":-32600`) {
			t.Errorf("a batch: %d %s", status, out)
		}
	}
}

func TestHTTPSSERefusesWhatItCannotTake(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, func(c *Config) {
		withStreamTransports(c)
		c.Limits.SessionsPerPrincipal = 1
		c.Limits.Message = 2048
	}, a.backend("alpha"))
	s := g.openSSE("ann")
	const ping = `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	for _, c := range []struct {
		body, want string
		status     int
		headers    []string
	}{
		{ping, "belongs to another principal", 403, []string{"Test-User", "bob"}},
		{ping, "belongs to another principal", 403, nil},
		{ping, "this host", 403, []string{"Test-User", "ann", "Host", "evil.example.com"}},
		{ping, "this origin", 403, []string{"Test-User", "ann", "Origin", "http://evil.example.com"}},
		{ping, "Content-Type", 415, []string{"Test-User", "ann", "Content-Type", "text/plain"}},
		{ping, "Content-Encoding", 415, []string{"Test-User", "ann", "Content-Encoding", "gzip"}},
		{"{", "-32700", 400, []string{"Test-User", "ann"}},
		{"[]", "-32600", 400, []string{"Test-User", "ann"}},
		{`{"jsonrpc":"2.0","id":null,"method":"ping"}`, "-32600", 400, []string{"Test-User", "ann"}},
		{ping + strings.Repeat(" ", 2048), "limits.message", 413, []string{"Test-User", "ann"}},
		{ping, "", 202, []string{"Test-User", "ann"}},
	} {
		want := c.want
		if want == "this host" {
			want = "loopback"
		}
		if status, answer := s.send(c.body, c.headers...); status != c.status || !strings.Contains(answer, want) {
			t.Errorf("%s %v: %d %s", c.body[:min(len(c.body), 60)], c.headers, status, answer)
		}
	}
	post := s.post
	s.post = "/sse/message?sessionId=nonesuch"
	if status, _ := s.send(ping); status != http.StatusNotFound {
		t.Errorf("an unknown session: %d", status)
	}
	s.post = post
	// The session is none of Streamable HTTP, and the other way about.
	_, id, _ := strings.Cut(post, "=")
	if res, _ := g.post(ping, spec.HeaderSession, id, "Test-User", "ann"); res.StatusCode != http.StatusNotFound {
		t.Errorf("a line's session at the other endpoint: %d", res.StatusCode)
	}
	req, _ := http.NewRequest(http.MethodGet, g.server.URL+"/sse", nil)
	req.Header.Set("Test-User", "ann")
	res, err := g.server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusTooManyRequests {
		t.Errorf("one session too many: %d", res.StatusCode)
	}
	s.res.Body.Close()
	testkit.Eventually(t, "the session's end", func() bool {
		status, _ := s.send(ping, "Test-User", "ann")
		return status == http.StatusNotFound
	})
}

// readerFunc is a Read.
type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestASessionOfHTTPSSEMayEndWhileAMessageIsRead(t *testing.T) {
	g := newGateway(t, withStreamTransports, newServer(t, "alpha").backend("alpha"))
	for body, want := range map[string]int{`{"jsonrpc":"2.0","id":1,"method":"ping"}`: http.StatusNotFound, "": http.StatusBadRequest} {
		s := g.openSSE("")
		_, id, _ := strings.Cut(s.post, "=")
		route := g.current.Load().Route()
		rest := strings.NewReader(body)
		upload := readerFunc(func(p []byte) (int, error) {
			s.res.Body.Close()
			testkit.Eventually(t, "the session's end", func() bool { _, ok := route.Find(id, session.HTTPSSE); return !ok })
			if body == "" {
				return 0, io.ErrUnexpectedEOF
			}
			return rest.Read(p)
		})
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, s.post, upload)
		r.Header.Set("Content-Type", "application/json")
		r.Host = "localhost"
		w := httptest.NewRecorder()
		g.server.Config.Handler.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%q is answered with %d %s", body, w.Code, w.Body)
		}
	}
}

func TestAFailedInitializeEndsTheLineAfterItsAnswer(t *testing.T) {
	a := newServer(t, "alpha")
	a.down.Store(true)
	g := newGateway(t, withStreamTransports, a.backend("alpha"))
	s := g.openSSE("")
	if out := s.ask(initBody); !strings.Contains(out, `"id":0,"error"`) {
		t.Error(out)
	}
	if _, err := s.in.ReadByte(); err == nil {
		t.Error("the stream goes on")
	}
	testkit.Eventually(t, "the session's end", func() bool { return g.hub.Stats()["test"] == Stats{} })
}

func TestAStreamTransportIsEndedWithItsRouteAndForASlowReader(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, func(c *Config) { withStreamTransports(c); c.Limits.Message = 4096 }, a.backend("alpha"))
	s := g.openSSE("")
	s.ask(initBody)
	_, id, _ := strings.Cut(s.post, "=")
	route := g.current.Load().Route()
	opened, ok := route.Find(id, session.HTTPSSE)
	if !ok {
		t.Fatal("there is no session")
	}
	// What does not fit into the queue ends the line, and the session with it.
	for opened.Only().Send([]byte(fmt.Sprintf(`{"jsonrpc":"2.0","method":"x","params":{"a":%q}}`, strings.Repeat("a", 4096)))) {
	}
	testkit.Eventually(t, "the session's end", func() bool { _, ok := route.Find(id, session.HTTPSSE); return !ok })

	s = g.openSSE("")
	s.ask(initBody)
	g.hub.Commit(nil)
	if _, err := s.in.ReadByte(); err == nil {
		t.Error("the stream goes on")
	}
}
