package mcp

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/sse"
)

// events opens a stream: with a GET, or with a POST of body.
func (g *gateway) events(ctx context.Context, body string, headers ...string) (*http.Response, *sse.Reader) {
	g.t.Helper()
	method := http.MethodPost
	if body == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, method, g.url, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := g.server.Client().Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { res.Body.Close() })
	return res, sse.NewReader(bufio.NewReader(res.Body), 1<<20)
}

func next(t *testing.T, r *sse.Reader) sse.Event {
	t.Helper()
	e, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// gone waits until n streams are left.
func (g *gateway) gone(n int) {
	g.t.Helper()
	testkit.Eventually(g.t, "the stream ends", func() bool { return g.hub.Stats()["test"].Streams == n })
}

func callBody(id int, tool string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%q,"_meta":{"progressToken":"p"}}}`, id, tool)
}

func TestBrokenCallIsResumed(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, nil, a.backend("alpha"))
	id := g.initialize()
	ctx, cancel := context.WithCancel(within(t))
	res, events := g.events(ctx, callBody(7, "wait"), spec.HeaderSession, id)
	if kind := res.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Fatalf("a call that takes long is answered with %s", kind)
	}
	prime := next(t, events)
	if !regexp.MustCompile(`^[A-Z2-7]{26}-0$`).MatchString(prime.ID) || prime.Data != nil || prime.Retry != time.Second {
		t.Fatalf("it begins with %+v", prime)
	}
	cancel()
	g.gone(0)
	a.release()
	var last sse.Event
	for range 2 { // the second connection breaks too
		res, events = g.events(within(t), "", spec.HeaderSession, id, spec.HeaderLastEventID, prime.ID)
		if last = next(t, events); last.Data == nil {
			last = next(t, events) // the answer was not there yet
		}
		if !strings.Contains(string(last.Data), `"id":7`) || !strings.Contains(string(last.Data), "released") {
			t.Fatalf("%d %+v", res.StatusCode, last)
		}
		if _, err := events.Next(); err != io.EOF {
			t.Errorf("after the answer: %v", err)
		}
	}
	_, events = g.events(within(t), "", spec.HeaderSession, id, spec.HeaderLastEventID, last.ID)
	if e, err := events.Next(); err != io.EOF {
		t.Errorf("after all was read: %+v, %v", e, err)
	}
}

func TestResumedStreamGoesOnLive(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, nil, a.backend("alpha"))
	id := g.initialize()
	ctx, cancel := context.WithCancel(within(t))
	_, events := g.events(ctx, callBody(7, "wait"), spec.HeaderSession, id)
	prime := next(t, events)
	_, other := g.events(within(t), "", spec.HeaderSession, id)
	next(t, other)
	cancel()
	g.gone(1)
	_, events = g.events(within(t), "", spec.HeaderSession, id, spec.HeaderLastEventID, prime.ID)
	again := next(t, events)
	if again.Data != nil || again.ID == prime.ID || !again.HasRetry {
		t.Errorf("the resumed stream begins with %+v", again)
	}
	// The client may be the first to notice that a connection is gone.
	_, third := g.events(within(t), "", spec.HeaderSession, id, spec.HeaderLastEventID, again.ID)
	next(t, third)
	if _, err := events.Next(); err != io.EOF {
		t.Errorf("the connection that was replaced: %v", err)
	}
	a.release()
	if e := next(t, third); !strings.Contains(string(e.Data), `"id":7`) {
		t.Errorf("%+v", e)
	}
	g.do(http.MethodDelete, "", spec.HeaderSession, id)
	if e, err := other.Next(); err != io.EOF {
		t.Errorf("the other stream got %+v, %v", e, err)
	}
}

func TestStreamOfAGetIsResumed(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, nil, a.backend("alpha"))
	id := g.initialize()
	g.post(`{"jsonrpc":"2.0","id":1,"method":"resources/subscribe","params":{"uri":"file:///a"}}`, spec.HeaderSession, id)
	ctx, cancel := context.WithCancel(within(t))
	_, events := g.events(ctx, "", spec.HeaderSession, id)
	prime := next(t, events)
	testkit.Eventually(t, "the server has a stream to the gateway", func() bool { return a.gets.Load() > 0 })
	updated := func() {
		if err := a.ResourceUpdated(within(t), &sdk.ResourceUpdatedNotificationParams{URI: "file:///a"}); err != nil {
			t.Fatal(err)
		}
	}
	updated()
	first := next(t, events)
	cancel()
	g.gone(0)
	updated() // for whichever stream comes next
	_, events = g.events(within(t), "", spec.HeaderSession, id, spec.HeaderLastEventID, prime.ID)
	if e := next(t, events); e.ID != first.ID || string(e.Data) != string(first.Data) {
		t.Errorf("replayed: %+v, want %+v", e, first)
	}
	if e := next(t, events); e.ID == first.ID || !strings.Contains(string(e.Data), "resources/updated") {
		t.Errorf("missed: %+v", e)
	}
}

func TestWhatCannotBeResumedIsRefused(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, func(c *Config) { c.Resume.Events = 2 }, a.backend("alpha"))
	id, other := g.initialize(), g.initialize()
	_, events := g.events(within(t), callBody(1, "steps"), spec.HeaderSession, id)
	var ids []string
	for answered := false; !answered; { // what came before it may not be evicted yet
		e := next(t, events)
		ids, answered = append(ids, e.ID), strings.Contains(string(e.Data), `"result"`)
	}
	_, foreign := g.events(within(t), "", spec.HeaderSession, other)
	name, _, _ := strings.Cut(ids[0], "-")
	for what, event := range map[string]string{
		"evicted":            name + "-1",
		"another session's":  next(t, foreign).ID,
		"forged":             strings.Repeat("A", 26) + "-0",
		"not yet sent":       name + "-99",
		"no position":        name,
		"negative":           name + "--1",
		"not canonical":      name + "-01",
		"huge":               name + "-99999999999999999999",
		"long":               strings.Repeat("A", 1000) + "-1",
		"what it did before": "1",
	} {
		res, body := g.do(http.MethodGet, "", spec.HeaderSession, id, spec.HeaderLastEventID, event)
		if res.StatusCode != http.StatusBadRequest || !strings.Contains(body, "-32602") || !strings.Contains(body, "Last-Event-ID") {
			t.Errorf("%s: %d %s", what, res.StatusCode, body)
		}
	}
	if res, _ := g.do(http.MethodGet, "", spec.HeaderSession, id, spec.HeaderLastEventID, ids[len(ids)-2]); res.StatusCode != http.StatusOK {
		t.Errorf("what is kept: %d", res.StatusCode)
	}
}

func TestOlderClientsGetNoPrimingEvents(t *testing.T) {
	a := newServer(t, "alpha")
	for name, test := range map[string]struct {
		version string
		events  int
		ids     bool
	}{
		"older": {"2025-06-18", 10, true},
		"off":   {"2025-11-25", 0, false},
	} {
		g := newGateway(t, func(c *Config) { c.Resume.Events = test.events }, a.backend("alpha"))
		res, _ := g.post(strings.Replace(initBody, "2025-11-25", test.version, 1))
		_, events := g.events(within(t), callBody(1, "steps"), spec.HeaderSession, res.Header.Get(spec.HeaderSession))
		for range 4 {
			if e := next(t, events); e.Data == nil || e.HasRetry || e.HasID != test.ids {
				t.Errorf("%s: %+v", name, e)
			}
		}
	}
}

// A server that primes its own stream expects the call to outlast it.
func TestPrimedCallIsPrimed(t *testing.T) {
	url := newScript(t, func(w http.ResponseWriter, m *jsonrpc.Message) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "id: 1\nretry: 5\ndata:\n\ndata: %s\n\n", jsonrpc.NewResult(m.ID(), []byte(`{"content":[]}`)))
	}, nil)
	g := newGateway(t, nil, backend{name: "raw", endpoints: []string{url}})
	_, events := g.events(within(t), callBody(1, "quick"), spec.HeaderSession, g.initialize())
	prime, answer := next(t, events), next(t, events)
	name, _, _ := strings.Cut(prime.ID, "-")
	if prime.Data != nil || prime.Retry != time.Second || answer.ID != name+"-1" || !strings.Contains(string(answer.Data), `"id":1`) {
		t.Errorf("%+v, then %+v", prime, answer)
	}
}

func TestSDKClientSurvivesBrokenConnections(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, nil, a.backend("alpha"))
	c := g.connect(nil)
	g.listening(1)
	answer := make(chan string, 1)
	go func() {
		res, err := c.CallTool(within(t), &sdk.CallToolParams{Name: "wait"})
		if err != nil {
			answer <- err.Error()
			return
		}
		answer <- res.Content[0].(*sdk.TextContent).Text
	}()
	<-a.waiting
	for range 2 {
		testkit.Eventually(t, "both streams are there", func() bool { return g.hub.Stats()["test"].Streams == 2 })
		g.server.CloseClientConnections()
		g.gone(0)
	}
	a.release()
	if got := <-answer; got != "released" {
		t.Error(got)
	}
}
