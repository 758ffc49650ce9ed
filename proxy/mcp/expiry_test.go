package mcp

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/sse"
)

// expired returns the gateway as one sees it whose token expires as soon as it
// has let a request in.
func (g *gateway) expired(t *testing.T) *gateway {
	t.Helper()
	at, inner := time.Now(), g.server.Config.Handler
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Test-User")
		p := filter.Principal{Kind: filter.JWT, Issuer: "test", Subject: "ann", ExpiresAt: at}
		inner.ServeHTTP(w, r.WithContext(filter.WithPrincipal(r.Context(), p)))
	}))
	t.Cleanup(srv.Close)
	return &gateway{t: t, hub: g.hub, server: srv, url: srv.URL + "/mcp", trace: g.trace}
}

func TestTheStreamOfAGetEndsWithItsToken(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, nil, a.backend("alpha"))
	id := g.initialize("Test-User", "ann")
	res, events := g.expired(t).events(within(t), "", spec.HeaderSession, id)
	prime := next(t, events)
	if res.StatusCode != http.StatusOK || prime.ID == "" {
		t.Fatalf("%d, %+v", res.StatusCode, prime)
	}
	if e, err := events.Next(); err != io.EOF {
		t.Fatalf("the stream of an expired token goes on with %+v, %v", e, err)
	}
	g.gone(0)
	// The session is the client's still, and with a new token so is the stream.
	res, events = g.events(within(t), "", spec.HeaderSession, id, spec.HeaderLastEventID, prime.ID, "Test-User", "ann")
	if again := next(t, events); res.StatusCode != http.StatusOK || again.ID == "" {
		t.Errorf("%d, %+v", res.StatusCode, again)
	}
	if n := g.hub.Stats()["test"]; n.Streams != 1 || n.Sessions != 1 {
		t.Errorf("%+v", n)
	}
}

func TestTheStreamOfHTTPSSEEndsWithItsToken(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, withStreamTransports, a.backend("alpha"))
	req, err := http.NewRequestWithContext(within(t), http.MethodGet, g.expired(t).server.URL+"/sse", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	events := sse.NewReader(bufio.NewReader(res.Body), 1<<20)
	if e := next(t, events); e.Name != "endpoint" {
		t.Fatalf("it begins with %+v", e)
	}
	if e, err := events.Next(); err != io.EOF {
		t.Errorf("the stream of an expired token goes on with %+v, %v", e, err)
	}
	testkit.Eventually(t, "the session's end", func() bool { return g.hub.Stats()["test"] == Stats{} })
}

func TestASubscriptionEndsWithItsToken(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, nil, a.backend("alpha"))
	h := g.expired(t).subscribe(`{"toolsListChanged":true}`)
	var methods []string
	for m := h.next(); ; m = h.next() {
		if m.Method() == "" {
			break // the answer
		}
		methods = append(methods, m.Method())
	}
	if got := strings.Join(methods, " "); got != "notifications/subscriptions/acknowledged notifications/cancelled" {
		t.Errorf("the stream had %s", got)
	}
	testkit.Eventually(t, "the session's end", func() bool { return g.hub.Stats()["test"] == Stats{} })
}

// A client that knows how comes back for its answer, with a new token.
func TestTheStreamOfACallThatCanBeResumedEndsWithItsToken(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, nil, a.backend("alpha"))
	old := g.expired(t)
	id := g.initialize("Test-User", "ann")
	_, events := old.events(within(t), callBody(7, "wait"), spec.HeaderSession, id)
	prime := next(t, events)
	if e, err := events.Next(); err != io.EOF || prime.ID == "" {
		t.Fatalf("after %+v the stream goes on with %+v, %v", prime, e, err)
	}
	a.release()
	_, events = g.events(within(t), "", spec.HeaderSession, id, spec.HeaderLastEventID, prime.ID, "Test-User", "ann")
	last := next(t, events)
	if last.Data == nil {
		last = next(t, events) // the answer was not there yet
	}
	if !strings.Contains(string(last.Data), "released") {
		t.Errorf("the answer is %s", last.Data)
	}
}

// Other clients would lose the answer of a call that was allowed when it came.
func TestACallThatCannotBeResumedOutlivesItsToken(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, nil, a.backend("alpha"))
	res, _ := g.post(strings.Replace(initBody, "2025-11-25", "2025-06-18", 1), "Test-User", "ann")
	go func() {
		<-a.waiting
		a.release()
	}()
	res, body := g.expired(t).post(callBody(8, "wait"), spec.HeaderSession, res.Header.Get(spec.HeaderSession))
	if res.StatusCode != http.StatusOK || !strings.Contains(body, "released") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
}
