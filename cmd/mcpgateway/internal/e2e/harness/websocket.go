package harness

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// overWebSocket lets the official SDK speak over a WebSocket.
type overWebSocket struct {
	ws   *websocket.Conn
	once *sync.Once
}

// OverWebSocket is the transport of a session whose messages go over ws.
func OverWebSocket(ws *websocket.Conn) mcp.Transport { return overWebSocket{ws, new(sync.Once)} }

func (o overWebSocket) Connect(context.Context) (mcp.Connection, error) { return o, nil }

func (overWebSocket) SessionID() string { return "" }

func (o overWebSocket) Read(ctx context.Context) (jsonrpc.Message, error) {
	_, b, err := o.ws.Read(ctx)
	if websocket.CloseStatus(err) != -1 {
		return nil, io.EOF
	}
	if err != nil {
		return nil, err
	}
	return jsonrpc.DecodeMessage(b)
}

func (o overWebSocket) Write(ctx context.Context, m jsonrpc.Message) error {
	b, err := jsonrpc.EncodeMessage(m)
	if err != nil {
		return err
	}
	// The end of one call is not that of the connection.
	return o.ws.Write(context.WithoutCancel(ctx), websocket.MessageText, b)
}

func (o overWebSocket) Close() error {
	o.once.Do(func() { o.ws.Close(websocket.StatusNormalClosure, "") })
	return nil
}

// WebSocket opens one at a path of the gateway; token may be "".
func (w *World) WebSocket(t testing.TB, path, token string) *websocket.Conn {
	t.Helper()
	header := http.Header{}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	ws, _, err := websocket.Dial(context.Background(), "wss"+strings.TrimPrefix(w.URL(path), "https"), &websocket.DialOptions{
		HTTPClient: Client(t, w.CA.PEM(), "http/1.1"), HTTPHeader: header, Subprotocols: []string{"mcp"},
	})
	if err != nil {
		t.Fatalf("WebSocket: %v", err)
	}
	t.Cleanup(func() { ws.CloseNow() })
	return ws
}

// Initialize is the first message of a client without an SDK.
const Initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}`
