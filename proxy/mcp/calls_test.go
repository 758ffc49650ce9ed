package mcp

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// gate is a server that holds each call of a tool until it is opened.
type gate struct {
	url      string
	inFlight atomic.Int64
	most     atomic.Int64
	opened   chan struct{}
}

func newGate(t testing.TB) *gate {
	s := &gate{opened: make(chan struct{})}
	s.url = newScript(t, func(w http.ResponseWriter, m *jsonrpc.Message) {
		if m.Method() == "tools/call" {
			n := s.inFlight.Add(1)
			for most := s.most.Load(); n > most && !s.most.CompareAndSwap(most, n); most = s.most.Load() {
			}
			<-s.opened
			s.inFlight.Add(-1)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(jsonrpc.NewResult(m.ID(), []byte(`{"content":[{"type":"text","text":"through"}]}`)))
	}, nil)
	return s
}

func (s *gate) open() { close(s.opened) }

func waiting(s *session) int {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	return len(s.calls.waiting)
}

func TestMoreCallsThanMayBeInFlightWaitForTheirTurn(t *testing.T) {
	const limit, calls = 4, 30
	for name, connect := range map[string]func(*gateway, *sdk.ClientOptions) *sdk.ClientSession{
		"streamable": (*gateway).connect,
		"sse":        (*gateway).connectSSE,
		"websocket":  (*gateway).connectWS,
	} {
		t.Run(name, func(t *testing.T) {
			s := newGate(t)
			g := newGateway(t, func(c *Config) { withLines(c); c.Limits.Pending = limit }, backend{name: "gate", endpoints: []string{s.url}})
			c := connect(g, nil)
			var wg sync.WaitGroup
			for range calls {
				wg.Go(func() {
					if got := invoke(t, c, "x", nil); got != "through" {
						t.Error(got)
					}
				})
			}
			session := g.hub.all()[0]
			testkit.Eventually(t, "the rest waits", func() bool { return waiting(session) == calls-limit && s.inFlight.Load() == limit })
			if err := c.Ping(within(t), nil); err != nil {
				t.Errorf("a ping beside calls that wait: %v", err)
			}
			s.open()
			wg.Wait()
			if most := s.most.Load(); most > limit {
				t.Errorf("%d calls were in flight", most)
			}
			q := &session.calls
			q.mu.Lock()
			defer q.mu.Unlock()
			if q.bytes != 0 || len(q.waiting) != 0 {
				t.Errorf("%d calls and %d bytes still wait", len(q.waiting), q.bytes)
			}
		})
	}
}

func TestQueueIsBoundedAndLeftByWhatIsCancelled(t *testing.T) {
	s := newGate(t)
	g := newGateway(t, func(c *Config) { c.Limits.Pending = 1; c.Limits.Message = 64 << 10 }, backend{name: "gate", endpoints: []string{s.url}})
	id := g.initialize()
	call := func(n int, more string) string {
		_, body := g.post(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"x","arguments":{"more":%q}}}`, n, more), spec.HeaderSession, id)
		return body
	}
	var wg sync.WaitGroup
	var answers [queueFactor + 1]string
	session := g.hub.find(id)
	for i := range answers {
		wg.Go(func() { answers[i] = call(i, "") })
		testkit.Eventually(t, "the call is in flight or waits", func() bool { return s.inFlight.Load() == 1 && waiting(session) == i })
	}
	if body := call(100, ""); !strings.Contains(body, "too many requests are in flight") {
		t.Errorf("one more than may wait: %s", body)
	}
	g.post(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}`, spec.HeaderSession, id)
	testkit.Eventually(t, "the cancelled call leaves", func() bool { return waiting(session) == queueFactor-1 })
	if body := call(101, strings.Repeat("x", 60<<10)+strings.Repeat("y", 3<<10)); !strings.Contains(body, "too many requests are in flight") {
		t.Errorf("more bytes than may wait: %s", body)
	}
	if n := s.inFlight.Load(); n != 1 {
		t.Errorf("%d calls are in flight", n)
	}
	s.open()
	wg.Wait()
	for i, body := range answers {
		if cancelled := strings.Contains(body, "was cancelled"); cancelled != (i == 5) || !cancelled && !strings.Contains(body, "through") {
			t.Errorf("call %d: %s", i, body)
		}
	}
}

func TestCallsThatWaitEndWithTheSession(t *testing.T) {
	s := newGate(t)
	g := newGateway(t, func(c *Config) { c.Limits.Pending = 1 }, backend{name: "gate", endpoints: []string{s.url}})
	id := g.initialize()
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			_, body := g.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}`, spec.HeaderSession, id)
			if !strings.Contains(body, "the session has ended") {
				t.Error(body)
			}
		})
	}
	session := g.hub.find(id)
	testkit.Eventually(t, "two calls wait", func() bool { return waiting(session) == 2 && s.inFlight.Load() == 1 })
	g.do("DELETE", "", spec.HeaderSession, id)
	wg.Wait()
	s.open()
}
