package session

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
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
	s.url = newScript(t, func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
		if m.Method() == "tools/call" {
			n := s.inFlight.Add(1)
			for most := s.most.Load(); n > most && !s.most.CompareAndSwap(most, n); most = s.most.Load() {
			}
			<-s.opened
			s.inFlight.Add(-1)
		}
		answer(w, m, `{"content":[{"type":"text","text":"through"}]}`)
	})
	return s
}

func (s *gate) open() { close(s.opened) }

func waiting(s Session) int {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	return len(s.calls.waiting)
}

func callX(id int, more string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"x","arguments":{"more":%q}}}`, id, more)
}

func TestMoreCallsThanMayBeInFlightWaitForTheirTurn(t *testing.T) {
	const limit, calls = 4, 30
	server := newGate(t)
	f := newFront(t, func(c *Settings) { c.Limits.Pending = limit }, server.url)
	s := f.open()
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() {
			if body := f.post(s, callX(i, "")); !strings.Contains(body, "through") {
				t.Error(body)
			}
		})
	}
	testkit.Eventually(t, "the rest waits", func() bool { return waiting(s) == calls-limit && server.inFlight.Load() == limit })
	if body := f.post(s, `{"jsonrpc":"2.0","id":100,"method":"ping"}`); !strings.Contains(body, "result") {
		t.Errorf("a ping beside calls that wait: %s", body)
	}
	server.open()
	wg.Wait()
	if most := server.most.Load(); most > limit {
		t.Errorf("%d calls were in flight", most)
	}
	q := &s.calls
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.bytes != 0 || len(q.waiting) != 0 {
		t.Errorf("%d calls and %d bytes still wait", len(q.waiting), q.bytes)
	}
}

func TestQueueIsBoundedAndLeftByWhatIsCancelled(t *testing.T) {
	server := newGate(t)
	f := newFront(t, func(c *Settings) { c.Limits.Pending = 1; c.Limits.Message = 64 << 10 }, server.url)
	s := f.open()
	var wg sync.WaitGroup
	var answers [queueFactor + 1]string
	for i := range answers {
		wg.Go(func() { answers[i] = f.post(s, callX(i, "")) })
		testkit.Eventually(t, "the call is in flight or waits", func() bool { return server.inFlight.Load() == 1 && waiting(s) == i })
	}
	if body := f.post(s, callX(100, "")); !strings.Contains(body, "too many requests are in flight") {
		t.Errorf("one more than may wait: %s", body)
	}
	f.post(s, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}`)
	testkit.Eventually(t, "the cancelled call leaves", func() bool { return waiting(s) == queueFactor-1 })
	if body := f.post(s, callX(101, strings.Repeat("x", 60<<10)+strings.Repeat("y", 3<<10))); !strings.Contains(body, "too many requests are in flight") {
		t.Errorf("more bytes than may wait: %s", body)
	}
	if n := server.inFlight.Load(); n != 1 {
		t.Errorf("%d calls are in flight", n)
	}
	server.open()
	wg.Wait()
	for i, body := range answers {
		if cancelled := strings.Contains(body, "was cancelled"); cancelled != (i == 5) || !cancelled && !strings.Contains(body, "through") {
			t.Errorf("call %d: %s", i, body)
		}
	}
}

func TestCallsThatWaitEndWithTheSession(t *testing.T) {
	server := newGate(t)
	f := newFront(t, func(c *Settings) { c.Limits.Pending = 1 }, server.url)
	s := f.open()
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if body := f.post(s, callX(1, "")); !strings.Contains(body, "the session has ended") {
				t.Error(body)
			}
		})
	}
	testkit.Eventually(t, "two calls wait", func() bool { return waiting(s) == 2 && server.inFlight.Load() == 1 })
	s.Delete()
	wg.Wait()
	err := s.Launch(f.from(), f.parse(callX(4, "")), s.NewResumable(eventstream.Options{}))
	if f := Failed(err); !errors.Is(err, errEnded) || f.Answer.Status != http.StatusNotFound {
		t.Errorf("a call after the end: %v, %d", err, f.Answer.Status)
	}
	server.open()
}

func TestWhatIsSentAgainAfterALoss(t *testing.T) {
	var mu sync.Mutex
	sent := map[string]int{}
	url := newScript(t, func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
		mu.Lock()
		sent[m.Method()]++
		first := sent[m.Method()] == 1
		mu.Unlock()
		if first {
			panic(http.ErrAbortHandler)
		}
		answer(w, m, `{}`)
	})
	f := newFront(t, nil, url)
	s := f.open()
	for method, want := range map[string]int{
		"tools/call": 1, "prompts/get": 2, "tasks/get": 2, "tasks/result": 2, "tasks/cancel": 1, "tasks/update": 1,
		"subscriptions/listen": 1, "vendor/thing": 1, "logging/setLevel": 2,
	} {
		f.post(s, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":{"name":"x","taskId":"x","level":"debug"}}`, method))
		mu.Lock()
		if sent[method] != want {
			t.Errorf("%s was sent %d times, not %d", method, sent[method], want)
		}
		mu.Unlock()
	}
}
