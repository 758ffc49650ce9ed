package memory_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

// bulky is an MCP server whose tool answers with 3.9 MB, as an event if it says
// so.
type bulky struct{ events bool }

func (b bulky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var m struct {
		ID     any
		Method string
	}
	if r.Method != http.MethodPost {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	_ = json.NewDecoder(r.Body).Decode(&m)
	result := "{}"
	switch m.Method {
	case "initialize":
		w.Header().Set("Mcp-Session-Id", rand.Text())
		result = `{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"bulky","version":"1"}}`
	case "server/discover":
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%v,"error":{"code":-32601,"message":"unknown method"}}`, m.ID)
		return
	case "tools/call":
		result = `{"content":[{"type":"text","text":"` + strings.Repeat("x", 3_900_000) + `"}]}`
	}
	if m.ID == nil {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	kind, before, after := "application/json", "", ""
	if b.events && m.Method == "tools/call" {
		kind, before, after = "text/event-stream", "data: ", "\n\n"
	}
	w.Header().Set("Content-Type", kind)
	fmt.Fprintf(w, `%s{"jsonrpc":"2.0","id":%v,"result":%s}%s`, before, m.ID, result, after)
}

// bulkyCommand is such a server of the standard input and output.
const bulkyCommand = `while IFS= read -r line; do
	id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
	case $line in
	*'"initialize"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"shell","version":"1"}}}\n' "$id" ;;
	*'"server/discover"'*) printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"unknown method"}}\n' "$id" ;;
	*'"tools/call"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"' "$id"; head -c 3900000 /dev/zero | tr '\0' x; printf '"}]}}\n' ;;
	*'"id":'*) printf '{"jsonrpc":"2.0","id":%s,"result":{}}\n' "$id" ;;
	esac
done
`

// oneByOne is how many calls there are before many come at once.
const oneByOne = 3

func TestAnswersThatAreNotReadTakeNoMoreThanThereIs(t *testing.T) {
	for name, c := range map[string]struct {
		cluster  func(w *harness.World) string
		sessions int
	}{
		"json": {func(w *harness.World) string {
			return fmt.Sprintf("endpoints: [\"https://127.0.0.1:%s\"], tls: {ca_cert: ca.crt, client_cert: one.crt, client_key: one.key}", w.Serve(t, bulky{}).Port())
		}, 40},
		"events": {func(w *harness.World) string {
			return fmt.Sprintf("endpoints: [\"https://127.0.0.1:%s\"], tls: {ca_cert: ca.crt, client_cert: one.crt, client_key: one.key}", w.Serve(t, bulky{events: true}).Port())
		}, 40},
		"stdio": {func(w *harness.World) string {
			harness.WriteFile(t, w.Dir, "bulky.sh", []byte(bulkyCommand))
			return "command: [sh, bulky.sh]"
		}, 30},
	} {
		t.Run(name, func(t *testing.T) {
			b := besiege(t, newSmallWorld(t, func(w *harness.World) {
				w.More = "  - {name: bulky, " + c.cluster(w) + "}\n" + w.More
				w.Route = "  - {name: bulky, match: {path: /bulky}, mcp: {clusters: [bulky]}}\n"
			}))
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			hc := narrow(t, b.CA.PEM(), "h2")
			url := "https://" + b.Address("public") + "/bulky"
			post := func(body, session string) (*http.Response, error) {
				req, _ := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
				req.Header.Set("Content-Type", "application/json")
				req.Header.Set("Accept", "application/json, text/event-stream")
				if session != "" {
					req.Header.Set("Mcp-Session-Id", session)
				}
				return hc.Do(req)
			}
			var all, settled sync.WaitGroup
			var answered, refused atomic.Int64
			for i := range c.sessions {
				over := sync.OnceFunc(settled.Done)
				if i <= oneByOne {
					settled.Wait() // of many at once there may be room for none
				}
				settled.Add(1)
				all.Go(func() {
					defer over()
					res, err := post(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}`, "")
					if err != nil {
						t.Errorf("initialize: %v", err)
						return
					}
					res.Body.Close()
					if !served(res) {
						t.Errorf("initialize: %d", res.StatusCode)
					}
					if res.StatusCode != http.StatusOK {
						refused.Add(1)
						return
					}
					res, err = post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"large","arguments":{}}}`, res.Header.Get("Mcp-Session-Id"))
					if err != nil {
						if ctx.Err() == nil {
							t.Errorf("call: %v", err)
						}
						return
					}
					defer res.Body.Close()
					// An answer for which there was no memory is an error, which is short.
					beginning := make([]byte, 512)
					n, _ := io.ReadFull(res.Body, beginning)
					switch {
					case !served(res):
						t.Errorf("call: %d %s", res.StatusCode, beginning[:n])
					case strings.Contains(string(beginning[:n]), "overload_manager"):
						refused.Add(1)
					default:
						answered.Add(1)
						over()
						<-ctx.Done()
					}
				})
			}
			done := make(chan struct{})
			go func() { settled.Wait(); close(done) }()
			for waiting := true; waiting; {
				select {
				case <-done:
					waiting = false
				case <-time.After(100 * time.Millisecond):
				}
				b.look()
			}
			t.Logf("%d answered, %d refused; %+v", answered.Load(), refused.Load(), b.Status().Memory)
			if answered.Load() < oneByOne || refused.Load() == 0 {
				t.Errorf("%d calls were answered, %d refused", answered.Load(), refused.Load())
			}
			cancel()
			all.Wait()
			b.relieved()
		})
	}
}

// A session over a WebSocket has all its answers on one stream.
func TestWebSocketsThatAreNotReadTakeNoMoreThanThereIs(t *testing.T) {
	b := besiege(t, newSmallWorld(t, func(w *harness.World) {
		w.More = fmt.Sprintf("  - {name: bulky, endpoints: [\"https://127.0.0.1:%s\"], tls: {ca_cert: ca.crt, client_cert: one.crt, client_key: one.key}}\n", w.Serve(t, bulky{}).Port()) + w.More
		w.Route = "  - {name: bulky, match: {path: /bulky}, mcp: {clusters: [bulky], websocket: {path: /bulky/ws}}}\n"
	}))
	hc := harness.Client(t, b.CA.PEM(), "http/1.1")
	hc.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err == nil {
			_ = conn.(*net.TCPConn).SetReadBuffer(64 << 10) // or the kernel keeps most of it
		}
		return conn, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var calls []func(string)
	for range 12 { // all before the first call: later ones would be refused
		ws, _, err := websocket.Dial(ctx, "wss://"+b.Address("public")+"/bulky/ws", &websocket.DialOptions{HTTPClient: hc, Subprotocols: []string{"mcp"}})
		if err != nil {
			t.Fatal(err)
		}
		defer ws.CloseNow()
		say := func(message string) {
			if err := ws.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
				t.Error(err)
			}
		}
		say(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}`)
		if _, _, err := ws.Read(ctx); err != nil {
			t.Fatal(err)
		}
		calls = append(calls, say)
		context.AfterFunc(ctx, func() { ws.CloseNow() })
	}
	for _, call := range calls {
		for i := range 6 {
			call(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"large","arguments":{}}}`, i+1))
		}
	}
	b.Eventually("the memory to be taken", func() error {
		b.look()
		if m := b.Status().Memory; m.Charged["answer"] < memoryLimit/2 {
			return fmt.Errorf("%+v", m)
		}
		return nil
	})
	for range 5 {
		b.look()
	}
	cancel()
	b.relieved()
}
