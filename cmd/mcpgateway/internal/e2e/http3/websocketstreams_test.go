package http3_test

import (
	"context"
	cryptotls "crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/listeners/listenerstest"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// A WebSocket on a stream of HTTP/2 (which Go serves only when its environment
// says so) or 3, to an upstream that speaks HTTP/1.1, and to an mcp route.
func TestWebSocketsOverStreams(t *testing.T) {
	t.Parallel()
	g, ca, _ := edgeHTTP3(t, "GODEBUG=http2xconnect=1")
	for _, overHTTP3 := range []bool{false, true} {
		name := map[bool]string{false: "h2", true: "h3"}[overHTTP3]
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		transport := &listenerstest.WebSocketTransport{HTTP3: overHTTP3, TLS: &cryptotls.Config{RootCAs: ca.Pool()}}
		ws, _, err := websocket.Dial(ctx, "ws://"+g.Address("public")+"/api/ws", &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for n := range 3 {
			want := strings.Repeat("x", 1+n*10000)
			if err := ws.Write(ctx, websocket.MessageText, []byte(want)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if _, got, err := ws.Read(ctx); err != nil || string(got) != want {
				t.Fatalf("%s: %d bytes, %v", name, len(got), err)
			}
		}
		if err := ws.Close(websocket.StatusNormalClosure, ""); err != nil {
			t.Errorf("%s: closing: %v", name, err)
		}
		if _, _, err := websocket.Dial(ctx, "ws://"+g.Address("public")+"/hello", &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}}); err == nil || transport.Status != http.StatusNotImplemented {
			t.Errorf("%s: a WebSocket to what is none: %d, %v", name, transport.Status, err)
		}
	}
}

func TestMCPOverWebSocketsOnStreams(t *testing.T) {
	t.Parallel()
	w := harness.NewStreamWorld(t, "GODEBUG=http2xconnect=1")
	for _, overHTTP3 := range []bool{false, true} {
		transport := &listenerstest.WebSocketTransport{HTTP3: overHTTP3, TLS: &cryptotls.Config{RootCAs: w.CA.Pool()}}
		ws, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(w.URL("/ws"), "https"), &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}, Subprotocols: []string{"mcp"}})
		if err != nil {
			t.Fatal(err)
		}
		c := harness.CallOver(t, "echo", harness.OverWebSocket(ws))
		c.More(t, 20)
		c.Stop(t)
	}
}

// They stay over a rotation and over a redefinition of their listener, and are
// told at the drain's timeout that the server goes away.
func TestWebSocketsOnStreamsOutliveRotationAndRedefinition(t *testing.T) {
	t.Parallel()
	ca, dir := tlstest.NewCA(t, "CA"), harness.ShortDir(t)
	issue := func() {
		cert, key := ca.Server(t, "localhost", "127.0.0.1")
		tlstest.WritePair(t, dir, "server", cert, key)
	}
	issue()
	upstream := httptest.NewServer(&harness.PlainAPI{})
	t.Cleanup(upstream.Close)
	config := func(streams int) string {
		return strings.Replace(harness.EdgeHTTP3Config(upstream.URL, streams), "drain: {timeout: 30s", "drain: {timeout: 5s", 1)
	}
	g := harness.Start(t, dir, config(100), "GODEBUG=http2xconnect=1")
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	sockets := map[string]*websocket.Conn{}
	for _, name := range []string{"h2", "h3"} {
		transport := &listenerstest.WebSocketTransport{HTTP3: name == "h3", TLS: &cryptotls.Config{RootCAs: ca.Pool()}}
		ws, _, err := websocket.Dial(ctx, "ws://"+g.Address("public")+"/api/ws", &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		defer ws.CloseNow()
		sockets[name] = ws
	}
	echo := func(when string) {
		t.Helper()
		for name, ws := range sockets {
			if err := ws.Write(ctx, websocket.MessageText, []byte(when)); err != nil {
				t.Fatalf("%s, %s: %v", name, when, err)
			}
			if _, got, err := ws.Read(ctx); err != nil || string(got) != when {
				t.Fatalf("%s, %s: %q, %v", name, when, got, err)
			}
		}
	}
	echo("before")
	issue()
	g.MustReload()
	echo("after the rotation")
	g.MustApply(config(50))
	g.Eventually("both to drain", func() error {
		for _, d := range g.Status().Draining {
			if d.Streams == len(sockets) {
				return nil
			}
		}
		return errors.New("they do not")
	})
	echo("after the redefinition")
	for name, ws := range sockets {
		if _, got, err := ws.Read(ctx); websocket.CloseStatus(err) != websocket.StatusGoingAway {
			t.Errorf("%s at the drain's timeout: %q, %v; want 1001", name, got, err)
		}
	}
}
