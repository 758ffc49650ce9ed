package mcp

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	sdkrpc "github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// wsTransport lets the official SDK speak over a WebSocket.
type wsTransport struct{ ws *websocket.Conn }

func (t wsTransport) Connect(context.Context) (sdk.Connection, error) { return &wsConn{ws: t.ws}, nil }

type wsConn struct {
	ws   *websocket.Conn
	once sync.Once
}

func (c *wsConn) SessionID() string { return "" }

func (c *wsConn) Read(ctx context.Context) (sdkrpc.Message, error) {
	_, b, err := c.ws.Read(ctx)
	if websocket.CloseStatus(err) != -1 {
		return nil, io.EOF
	}
	if err != nil {
		return nil, err
	}
	return sdkrpc.DecodeMessage(b)
}

func (c *wsConn) Write(ctx context.Context, m sdkrpc.Message) error {
	b, err := sdkrpc.EncodeMessage(m)
	if err != nil {
		return err
	}
	return c.ws.Write(context.WithoutCancel(ctx), websocket.MessageText, b) // the end of one call is not that of the connection
}

func (c *wsConn) Close() error {
	c.once.Do(func() { _ = c.ws.Close(websocket.StatusNormalClosure, "") })
	return nil
}

// upgrade opens a WebSocket.
func (g *gateway) upgrade(header http.Header, protocols ...string) (*websocket.Conn, *http.Response, error) {
	ws, res, err := websocket.Dial(within(g.t), g.server.URL+"/ws", &websocket.DialOptions{HTTPHeader: header, Subprotocols: protocols, HTTPClient: &http.Client{Transport: &http.Transport{}}})
	if err == nil {
		g.t.Cleanup(func() { _ = ws.CloseNow() })
	}
	return ws, res, err
}

// connectWS returns a session of the official SDK's client over a WebSocket.
func (g *gateway) connectWS(opts *sdk.ClientOptions) *sdk.ClientSession {
	g.t.Helper()
	ws, _, err := g.upgrade(nil, "mcp")
	if err != nil {
		g.t.Fatal(err)
	}
	c, err := sdk.NewClient(&sdk.Implementation{Name: "tester", Version: "1"}, opts).Connect(within(g.t), wsTransport{ws}, &sdk.ClientSessionOptions{ProtocolVersion: spec.NewestLegacy})
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { c.Close() })
	return c
}

// rawWS is a WebSocket without an SDK.
type rawWS struct {
	g  *gateway
	ws *websocket.Conn
}

func (g *gateway) openWS(header http.Header) rawWS {
	g.t.Helper()
	ws, _, err := g.upgrade(header, "mcp")
	if err != nil {
		g.t.Fatal(err)
	}
	return rawWS{g, ws}
}

func (r rawWS) ask(body string) string {
	r.g.t.Helper()
	if err := r.ws.Write(within(r.g.t), websocket.MessageText, []byte(body)); err != nil {
		r.g.t.Fatal(err)
	}
	return r.next()
}

func (r rawWS) next() string {
	r.g.t.Helper()
	kind, b, err := r.ws.Read(within(r.g.t))
	if err != nil || kind != websocket.MessageText {
		r.g.t.Fatal(kind, err)
	}
	return string(b)
}

// ended waits for the close frame.
func (r rawWS) ended(want websocket.StatusCode) {
	r.g.t.Helper()
	_, b, err := r.ws.Read(within(r.g.t))
	if got := websocket.CloseStatus(err); got != want {
		r.g.t.Errorf("closed with %d (%v, %s), want %d", got, err, b, want)
	}
}

func TestAClientOverAWebSocketSeesEveryFeature(t *testing.T) {
	a, b := newServer(t, "alpha"), newServer(t, "beta")
	g := newGateway(t, withStreamTransports, a.backend("alpha"), b.backend("beta"))
	var got seen
	ws, _, err := g.upgrade(nil, "other", "mcp")
	if err != nil {
		t.Fatal(err)
	}
	if ws.Subprotocol() != "mcp" {
		t.Errorf("the subprotocol is %q", ws.Subprotocol())
	}
	c, err := sdk.NewClient(&sdk.Implementation{Name: "tester", Version: "1"}, got.options()).Connect(within(t), wsTransport{ws}, nil)
	if err != nil {
		t.Fatal(err)
	}
	testStreamTransport(t, g, c, &got, a)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	testkit.Eventually(t, "the session's end", func() bool { return g.hub.Stats()["test"] == Stats{} })
	testkit.Eventually(t, "the upstream sessions' end", func() bool { return a.deletes.Load() > 0 && b.deletes.Load() > 0 })
}

func TestAWebSocketNegotiatesEachRevision(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, withStreamTransports, a.backend("alpha"))
	for _, version := range []string{"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"} {
		s := g.openWS(nil)
		if out := s.ask(initOf(version)); !strings.Contains(out, `"protocolVersion":"`+version+`"`) {
			t.Error(out)
		}
		if out := s.ask("{"); !strings.HasPrefix(out, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700`) {
			t.Error(out)
		}
		out := s.ask(`[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"whoami"}}]`)
		if version == spec.Batches && !strings.HasPrefix(out, `[{"jsonrpc":"2.0","id":1,"result":{}},{"jsonrpc":"2.0","id":2,"result"`) ||
			version != spec.Batches && !strings.Contains(out, `"id":null,"error":{"code":-32600`) {
			t.Errorf("a batch in %s: %s", version, out)
		}
	}
}

func TestTheUpgradeIsRefusedWhereTheOriginOrTheRequestIsWrong(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, func(c *Config) { withStreamTransports(c); c.Limits.SessionsPerPrincipal = 1 }, a.backend("alpha"))
	if _, res, err := g.upgrade(http.Header{"Origin": {"http://evil.example.com"}}); err == nil || res.StatusCode != http.StatusForbidden {
		t.Errorf("a foreign origin: %v", err)
	}
	ws, _, err := g.upgrade(http.Header{"Origin": {g.server.URL}, "Test-User": {"ann"}})
	if err != nil || ws.Subprotocol() != "" {
		t.Errorf("the same origin, without a subprotocol: %v", err)
	}
	if _, res, err := g.upgrade(http.Header{"Test-User": {"ann"}}); err == nil || res.StatusCode != http.StatusTooManyRequests {
		t.Errorf("one session too many: %v", err)
	}
	for method, want := range map[string]int{http.MethodGet: http.StatusUpgradeRequired, http.MethodPost: http.StatusMethodNotAllowed} {
		req, _ := http.NewRequest(method, g.server.URL+"/ws", nil)
		res, err := g.server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: %d", method, res.StatusCode)
		}
	}
}

func TestAWebSocketIsClosedWithTheCodeThatSaysWhy(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, func(c *Config) { withStreamTransports(c); c.Limits.Message = 2048 }, a.backend("alpha"))
	for _, c := range []struct {
		name string
		end  func(rawWS)
		code websocket.StatusCode
	}{
		{"binary", func(s rawWS) { _ = s.ws.Write(within(t), websocket.MessageBinary, []byte("{}")) }, websocket.StatusUnsupportedData},
		{"too big", func(s rawWS) { _ = s.ws.Write(within(t), websocket.MessageText, make([]byte, 2049)) }, websocket.StatusMessageTooBig},
		{"much too big", func(s rawWS) { _ = s.ws.Write(within(t), websocket.MessageText, make([]byte, 1<<20)) }, websocket.StatusMessageTooBig},
		{"the route goes", func(rawWS) { g.hub.Commit(nil) }, websocket.StatusGoingAway},
	} {
		s := g.openWS(nil)
		s.ask(initBody)
		c.end(s)
		s.ended(c.code)
		testkit.Eventually(t, c.name+": the session's end", func() bool { return g.hub.Stats()["test"] == Stats{} })
	}
}

func TestAWebSocketEndsWithItsToken(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, withStreamTransports, a.backend("alpha"))
	expired := time.Now()
	inner := g.server.Config.Handler
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := filter.Principal{Kind: filter.JWT, Issuer: "test", Subject: "ann", ExpiresAt: expired}
		inner.ServeHTTP(w, r.WithContext(filter.WithPrincipal(r.Context(), p)))
	}))
	t.Cleanup(srv.Close)
	g.server, srv = srv, g.server
	t.Cleanup(srv.Close)
	s := g.openWS(nil)
	s.ended(websocket.StatusPolicyViolation)
}
