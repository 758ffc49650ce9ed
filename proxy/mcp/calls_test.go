package mcp

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

func TestMoreCallsThanMayBeInFlightWaitForTheirTurn(t *testing.T) {
	const limit, calls = 4, 30
	for name, connect := range map[string]func(*gateway, *sdk.ClientOptions) *sdk.ClientSession{
		"streamable": (*gateway).connect,
		"sse":        (*gateway).connectSSE,
		"websocket":  (*gateway).connectWS,
	} {
		t.Run(name, func(t *testing.T) {
			var inFlight, most atomic.Int64
			open := make(chan struct{})
			url := newScript(t, func(w http.ResponseWriter, m *jsonrpc.Message) {
				if m.Method() == "tools/call" {
					n := inFlight.Add(1)
					for before := most.Load(); n > before && !most.CompareAndSwap(before, n); before = most.Load() {
					}
					<-open
					inFlight.Add(-1)
				}
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write(jsonrpc.NewResult(m.ID(), []byte(`{"content":[{"type":"text","text":"through"}]}`)))
			}, nil)
			g := newGateway(t, func(c *Config) { withStreamTransports(c); c.Limits.Pending = limit }, backend{name: "gate", endpoints: []string{url}})
			c := connect(g, nil)
			var wg sync.WaitGroup
			for range calls {
				wg.Go(func() {
					if got := invoke(t, c, "x", nil); got != "through" {
						t.Error(got)
					}
				})
			}
			testkit.Eventually(t, "as many as may be are in flight", func() bool { return inFlight.Load() == limit })
			if err := c.Ping(within(t), nil); err != nil {
				t.Errorf("a ping beside calls that wait: %v", err)
			}
			close(open)
			wg.Wait()
			if most := most.Load(); most > limit {
				t.Errorf("%d calls were in flight", most)
			}
		})
	}
}

// What a client sends beyond what may be in flight and what may wait is refused.
func TestWhatWaitsIsBoundedOverEachTransport(t *testing.T) {
	const limit, all = 2, 2 + 2*16
	for name, open := range map[string]func(*gateway) (say func(string), next func() string){
		"streamable": func(g *gateway) (func(string), func() string) {
			id, answers := g.initialize(), make(chan string, all+1)
			return func(body string) {
					go func() {
						res, answer := g.post(body, spec.HeaderSession, id)
						if res.StatusCode != http.StatusOK {
							t.Errorf("%s: %d", body, res.StatusCode) // the session is well
						}
						answers <- answer
					}()
				}, func() string {
					select {
					case answer := <-answers:
						return answer
					case <-within(t).Done():
						t.Fatal("no answer comes")
						return ""
					}
				}
		},
		"sse": func(g *gateway) (func(string), func() string) {
			s := g.openSSE("")
			s.ask(initBody)
			return func(body string) {
				if status, answer := s.send(body); status != http.StatusAccepted {
					t.Fatal(status, answer)
				}
			}, func() string { _, data := s.next(); return data }
		},
		"websocket": func(g *gateway) (func(string), func() string) {
			ws := g.openWS(nil)
			ws.ask(initBody)
			return func(body string) {
				if err := ws.ws.Write(within(t), websocket.MessageText, []byte(body)); err != nil {
					t.Fatal(err)
				}
			}, ws.next
		},
	} {
		t.Run(name, func(t *testing.T) {
			var inFlight atomic.Int64
			turn := make(chan struct{})
			url := newScript(t, func(w http.ResponseWriter, m *jsonrpc.Message) {
				if m.Method() == spec.ToolsCall {
					inFlight.Add(1)
					<-turn
					inFlight.Add(-1)
				}
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write(jsonrpc.NewResult(m.ID(), []byte(`{"content":"through"}`)))
			}, nil)
			t.Cleanup(func() { close(turn) }) // else a failure would keep the server from ending
			g := newGateway(t, func(c *Config) {
				withStreamTransports(c)
				c.Limits.Pending, c.Limits.Message = limit, 4096
			}, backend{name: "gate", endpoints: []string{url}})
			say, next := open(g)
			for i := range all + 1 {
				say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"x"}}`, i+1))
			}
			if answer := next(); !strings.Contains(answer, "too many requests are in flight") {
				t.Errorf("one more than may wait: %s", answer)
			}
			testkit.Eventually(t, "the rest waits", func() bool { return inFlight.Load() == limit })
			say(`{"jsonrpc":"2.0","id":"p","method":"ping"}`)
			if answer := next(); !strings.Contains(answer, `"id":"p","result"`) {
				t.Errorf("a ping beside calls that wait: %s", answer)
			}
			for range all {
				select {
				case turn <- struct{}{}:
				case <-within(t).Done():
					t.Fatal("no call is in flight")
				}
				if answer := next(); !strings.Contains(answer, "through") {
					t.Errorf("a call that has waited: %s", answer)
				}
				if n := inFlight.Load(); n > limit {
					t.Errorf("%d calls are in flight", n)
				}
			}
		})
	}
}
