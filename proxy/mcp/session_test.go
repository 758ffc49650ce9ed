package mcp

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

func TestRestartedServerIsUnseenByTheClient(t *testing.T) {
	a, b := newServer(t, "alpha"), newServer(t, "beta")
	for name, g := range map[string]*gateway{
		"one": newGateway(t, nil, a.backend("alpha")),
		"two": newGateway(t, nil, a.backend("alpha"), b.backend("beta")),
	} {
		t.Run(name, func(t *testing.T) {
			tool, uri := "", ""
			if name == "two" {
				tool, uri = "alpha__", "alpha+"
			}
			var got seen
			c := g.connect(got.options())
			ctx := within(t)
			if err := c.SetLoggingLevel(ctx, &sdk.SetLoggingLevelParams{Level: "debug"}); err != nil {
				t.Fatal(err)
			}
			if err := c.Subscribe(ctx, &sdk.SubscribeParams{URI: uri + "file:///a"}); err != nil {
				t.Fatal(err)
			}
			before := a.subbed.Load()
			a.forget()
			if invoke(t, c, tool+"whoami", nil) != "alpha" {
				t.Error("no answer")
			}
			if a.subbed.Load() != before+1 {
				t.Error("the subscription was not replayed")
			}
			invoke(t, c, tool+"log", nil)
			testkit.Eventually(t, "the log level is replayed", func() bool { return got.has("log from alpha") })
		})
	}
}

func TestServerThatComesBackWithLessEndsTheSession(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, nil, a.backend("alpha"))
	id := g.initialize()
	g.post(listBody, spec.HeaderSession, id)
	a.Server = sdk.NewServer(&sdk.Implementation{Name: "other", Version: "1"}, nil)
	a.forget()
	res, body := g.post(listBody, spec.HeaderSession, id)
	if res.StatusCode != http.StatusNotFound {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	if res, _ := g.post(listBody, spec.HeaderSession, id); res.StatusCode != http.StatusNotFound {
		t.Errorf("afterwards: %d", res.StatusCode)
	}
}

func TestKilledStdioServerIsStartedAnew(t *testing.T) {
	g := newGateway(t, nil, stdio("alpha"))
	c := g.connect(nil)
	if invoke(t, c, "whoami", nil) != "alpha" {
		t.Fatal("no answer")
	}
	if _, err := c.CallTool(within(t), &sdk.CallToolParams{Name: "die"}); err == nil {
		t.Fatal("the process has answered")
	}
	if invoke(t, c, "whoami", nil) != "alpha" {
		t.Error("no answer after the process has gone")
	}
}

func TestCancellationReachesTheServer(t *testing.T) {
	a, b := newServer(t, "alpha"), newServer(t, "beta")
	g := newGateway(t, nil, a.backend("alpha"), b.backend("beta"))
	c := g.connect(nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := c.CallTool(ctx, &sdk.CallToolParams{Name: "beta__wait"})
		done <- err
	}()
	<-b.waiting
	cancel()
	if err := <-done; err == nil {
		t.Error("a cancelled call has a result")
	}
	select {
	case <-b.canceled:
	case <-within(t).Done():
		t.Error("the server was not told")
	}
}

func TestDisconnectIsNoCancellation(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, nil, a.backend("alpha"))
	id := g.initialize()
	ctx, cancel := context.WithCancel(context.Background())
	req, _ := http.NewRequestWithContext(ctx, "POST", g.url, strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wait"}}`))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(spec.HeaderSession, id)
	go func() {
		<-a.waiting
		cancel()
	}()
	if _, err := g.server.Client().Do(req); err == nil {
		t.Fatal("an answer came")
	}
	testkit.Eventually(t, "the request has gone", func() bool { return g.serving.Load() == 0 })
	select {
	case <-a.canceled:
		t.Error("the call was cancelled")
	default:
	}
	g.do("DELETE", "", spec.HeaderSession, id)
	<-a.canceled // with the session, the call ends
}

func TestCallWithoutAnswerTimesOut(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, func(c *Config) { c.Timeouts.CallIdle = 50 * time.Millisecond }, a.backend("alpha"))
	id := g.initialize()
	res, body := g.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wait"}}`, spec.HeaderSession, id)
	if res.StatusCode != 200 || !strings.Contains(body, "upstream_request_timeout") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
	<-a.canceled
	if res, body := g.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wait"}}`); res.StatusCode != 504 {
		t.Errorf("without a session: %d %s", res.StatusCode, body)
	}
}

func TestUserMayThinkLongerThanAServerMayHang(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, func(c *Config) { c.Timeouts.CallIdle = 300 * time.Millisecond }, a.backend("alpha"))
	c := g.connect(&sdk.ClientOptions{ElicitationHandler: func(ctx context.Context, _ *sdk.ElicitRequest) (*sdk.ElicitResult, error) {
		select {
		case <-time.After(900 * time.Millisecond):
		case <-ctx.Done():
		}
		return &sdk.ElicitResult{Action: "decline"}, nil
	}})
	if got := invoke(t, c, "elicit", map[string]any{"person": "x"}); !strings.HasPrefix(got, "x: decline") {
		t.Error(got)
	}
}

func TestRootsAreAskedOfTheClient(t *testing.T) {
	a, b := newServer(t, "alpha"), newServer(t, "beta")
	g := newGateway(t, nil, a.backend("alpha"), b.backend("beta"))
	client := sdk.NewClient(&sdk.Implementation{Name: "tester", Version: "1"}, nil)
	client.AddRoots(&sdk.Root{URI: "file:///home", Name: "home"})
	hc := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(hc.CloseIdleConnections)
	c, err := client.Connect(within(t), &sdk.StreamableClientTransport{Endpoint: g.url, HTTPClient: hc}, &sdk.ClientSessionOptions{ProtocolVersion: spec.NewestLegacy})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := invoke(t, c, "beta__roots", nil); got != "file:///home" {
		t.Error(got)
	}
}

func TestElicitationFailsAtOnceWhereNobodyCanAnswer(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, nil, a.backend("alpha"))
	body := strings.Replace(initBody, `"capabilities":{}`, `"capabilities":{"elicitation":{}}`, 1)
	res, _ := g.post(body)
	id := res.Header.Get(spec.HeaderSession)
	_, answer := g.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"elicit","arguments":{"person":"x"}}}`,
		spec.HeaderSession, id, "Accept", "application/json")
	if !strings.Contains(answer, "no client is listening") {
		t.Error(answer)
	}
}

func TestUnansweredServerRequestEnds(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, func(c *Config) { c.Timeouts.ServerRequest = 50 * time.Millisecond }, a.backend("alpha"))
	res, _ := g.post(strings.Replace(initBody, `"capabilities":{}`, `"capabilities":{"elicitation":{}}`, 1))
	id := res.Header.Get(spec.HeaderSession)
	res, body := g.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"elicit","arguments":{"person":"x"}}}`,
		spec.HeaderSession, id, "Accept", "application/json, text/event-stream")
	if res.Header.Get("Content-Type") != "text/event-stream" || !strings.Contains(body, `"elicitation/create"`) ||
		!strings.Contains(body, "notifications/cancelled") || !strings.Contains(body, "did not answer in time") {
		t.Error(body)
	}
}

func TestTwoHundredElicitationsComeBackToTheirCalls(t *testing.T) {
	a, b := newServer(t, "alpha"), newServer(t, "beta")
	g := newGateway(t, nil, a.backend("alpha"), b.backend("beta"))
	var wg sync.WaitGroup
	for n := range 4 {
		var got seen
		c := g.connect(got.options())
		for i := range 50 {
			tool := []string{"alpha", "beta"}[i%2]
			wg.Go(func() {
				who := fmt.Sprintf("%d-%d", n, i)
				want := fmt.Sprintf("%s: accept re: [%s] who is %s?", who, tool, who)
				if got := invoke(t, c, tool+"__elicit", map[string]any{"person": who}); got != want {
					t.Errorf("%s, want %s", got, want)
				}
			})
		}
	}
	wg.Wait()
}

func TestOneRequestIDTwiceAtOnce(t *testing.T) {
	a, b := newServer(t, "alpha"), newServer(t, "beta")
	g := newGateway(t, nil, a.backend("alpha"), b.backend("beta"))
	id := g.initialize()
	var wg sync.WaitGroup
	for range 20 {
		for _, name := range []string{"alpha", "beta"} {
			wg.Go(func() {
				_, body := g.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+name+`__whoami"}}`, spec.HeaderSession, id)
				if !strings.Contains(body, `"text":"`+name+`"`) || !strings.Contains(body, `"id":1`) {
					t.Errorf("%s: %s", name, body)
				}
			})
		}
	}
	wg.Wait()
}

func TestUpstreamRefusalIsNotRelayed(t *testing.T) {
	srv := newRawServer(t, func(string) string { return "{}" })
	srv.status = http.StatusUnauthorized
	g := newGateway(t, nil, backend{name: "raw", endpoints: []string{srv.url}})
	res, body := g.post(initBody)
	if res.StatusCode != 502 || !strings.Contains(body, "upstream_unauthorized") || res.Header.Get("WWW-Authenticate") != "" {
		t.Errorf("%d %v %s", res.StatusCode, res.Header, body)
	}
}

func TestCloseEndsSessionsUpstreamToo(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, nil, a.backend("alpha"))
	id := g.initialize()
	req, _ := http.NewRequest("GET", g.url, nil)
	req.Header.Set(spec.HeaderSession, id)
	res, err := g.server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	g.hub.Close(within(t))
	if _, err := io.ReadAll(res.Body); err != nil {
		t.Errorf("the stream ends with %v", err)
	}
	if a.deletes.Load() != 1 {
		t.Error("the upstream session was left behind")
	}
	if res, _ := g.post(initBody); res.StatusCode != 503 {
		t.Errorf("after Close: %d", res.StatusCode)
	}
}

func TestSessionStaysOnItsEndpointUntilThatIsGone(t *testing.T) {
	a, b := newServer(t, "a"), newServer(t, "b")
	g := newGateway(t, nil, backend{name: "alpha", endpoints: []string{a.url, b.url}})
	c := g.connect(nil)
	first := invoke(t, c, "whoami", nil)
	for range 5 {
		if got := invoke(t, c, "whoami", nil); got != first {
			t.Fatalf("%s after %s", got, first)
		}
	}
	gone := a
	if first == "b" {
		gone = b
	}
	gone.http.CloseClientConnections()
	gone.http.Close()
	if got := invoke(t, c, "whoami", nil); got == first {
		t.Errorf("%s answers though it has gone", got)
	}
}

func TestCallThatWasSentIsNotRepeated(t *testing.T) {
	a := newServer(t, "alpha")
	g := newGateway(t, nil, a.backend("alpha"))
	id := g.initialize()
	go func() {
		<-a.waiting
		a.http.CloseClientConnections()
	}()
	_, body := g.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"wait"}}`, spec.HeaderSession, id)
	if !strings.Contains(body, "upstream_connection_termination") {
		t.Error(body)
	}
	select {
	case <-a.waiting:
		t.Error("the call was repeated")
	default:
	}
	a.release() // the server parts with a session only when its calls have ended
}
