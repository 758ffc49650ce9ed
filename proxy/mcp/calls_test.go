package mcp

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
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
