package listeners

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/mcpgateway/mcpgateway/listeners/listenerstest"
)

func (f *fixture) webSocket(t *testing.T, protocols ...string) (*websocket.Conn, int, error) {
	t.Helper()
	o := &listenerstest.WebSocketTransport{HTTP3: true, TLS: f.clientTLS(nil)}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ws, res, err := websocket.Dial(ctx, "ws://"+f.socket.Addr().String()+"/ws", &websocket.DialOptions{HTTPClient: &http.Client{Transport: o}, Subprotocols: protocols})
	if res != nil && res.Body != nil && err != nil {
		res.Body.Close()
	}
	return ws, o.Status, err
}

func TestWebSocketOverAStreamOfHTTP3(t *testing.T) {
	f := newFixture(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Sec-WebSocket-Protocol") == "nobody" {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		if r.Method != http.MethodGet || r.Proto != "HTTP/3.0" || r.URL.Path != "/ws" || r.Host == "" {
			t.Errorf("the handler got %s %s %s of %s", r.Method, r.Proto, r.URL, r.Host)
		}
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"mcp"}, InsecureSkipVerify: true})
		if err != nil {
			t.Error(err)
			return
		}
		defer ws.CloseNow()
		for {
			kind, text, err := ws.Read(context.Background())
			if err != nil {
				return
			}
			if string(text) == "bye" {
				ws.Close(websocket.StatusGoingAway, "so long")
				return
			}
			if ws.Write(context.Background(), kind, text) != nil {
				return
			}
		}
	}, withHTTP3)
	ws, _, err := f.webSocket(t, "mcp")
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	if ws.Subprotocol() != "mcp" {
		t.Errorf("the subprotocol is %q", ws.Subprotocol())
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for n := range 3 {
		want := strings.Repeat("x", n*15000)
		if err := ws.Write(ctx, websocket.MessageText, []byte(want)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := ws.Read(ctx); err != nil || string(got) != want {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
	if err := ws.Write(ctx, websocket.MessageText, []byte("bye")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ws.Read(ctx); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the end is %v", err)
	}

	// A refusal stays one.
	if _, status, err := f.webSocket(t, "nobody"); err == nil || status != http.StatusForbidden {
		t.Errorf("refused with %d, %v", status, err)
	}
}

// A hijacker may write the 101 itself, in pieces, and close from another
// goroutine while it reads.
func TestAHijackerMayWriteTheAnswerItself(t *testing.T) {
	ended := make(chan error, 1)
	f := newFixture(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		for _, part := range []string{"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r", "\nConnection: Upgrade\r\nX-Note: here\r\n\r\n\x81\x02hi"} {
			if _, err := io.WriteString(conn, part); err != nil {
				t.Error(err)
			}
		}
		go func() {
			time.Sleep(10 * time.Millisecond)
			conn.Close()
		}()
		_, err = io.Copy(io.Discard, conn)
		ended <- err
	}, withHTTP3)
	ws, _, err := f.webSocket(t)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, got, err := ws.Read(ctx); err != nil || string(got) != "hi" {
		t.Errorf("%q, %v", got, err)
	}
	select {
	case err := <-ended:
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, net.ErrClosed) {
			t.Errorf("reading from the closed stream: %v", err)
		}
	case <-ctx.Done():
		t.Error("the read went on after Close")
	}
	if got := fmt.Sprint(f.server.Stats().Streams); got != "0" {
		t.Errorf("%s streams", got)
	}
}
