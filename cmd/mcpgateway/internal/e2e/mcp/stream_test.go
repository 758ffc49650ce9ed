package mcp_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
)

// oneStreamSessions returns a session of each kind that has one stream.
func oneStreamSessions(t testing.TB, w *harness.World, tool string) map[string]*harness.Caller {
	t.Helper()
	all := map[string]*harness.Caller{"WebSocket": harness.CallOver(t, tool, harness.OverWebSocket(w.WebSocket(t, "/ws", "")))}
	for _, protocol := range []string{"http/1.1", "h2"} {
		all["SSE over "+protocol] = harness.CallOver(t, tool, &mcp.SSEClientTransport{Endpoint: w.URL("/sse"), HTTPClient: harness.Client(t, w.CA.PEM(), protocol)})
	}
	return all
}

// rawStream is a stream of HTTP+SSE without an SDK.
type rawStream struct {
	t      testing.TB
	hc     *http.Client
	events *bufio.Reader
	post   string
}

func newRawStream(t testing.TB, w *harness.World, path, token string) *rawStream {
	t.Helper()
	l := &rawStream{t: t, hc: harness.Client(t, w.CA.PEM(), "http/1.1")}
	r, err := http.NewRequest("GET", w.URL(path), nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := l.hc.Do(r)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("opening the stream: %v, %+v", err, resp)
	}
	t.Cleanup(func() { resp.Body.Close() })
	l.events = bufio.NewReader(resp.Body)
	l.post = w.URL(strings.TrimPrefix(l.data(), "data: "))
	return l
}

func TestSessionsOfOneStreamLastOverEveryReloadAndLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	w := harness.NewStreamWorld(t)
	for _, c := range oneStreamSessions(t, w, "echo") {
		c.More(t, 2)
		c.Stop(t)
	}
	var before harness.Weight
	w.Eventually("the process to rest", func() (err error) { before, err = w.Weigh(); return err })
	all := oneStreamSessions(t, w, "echo")
	more := func() {
		for _, c := range all {
			c.More(t, 5)
		}
	}
	more()
	for _, change := range []func(){
		func() { w.IssueServer(t) },
		func() { w.IssueClient(t, "one", "client one again") },
		func() { w.Members = "one, two" },
		func() { w.Route = "  - match: {path: /hello}\n    respond: {status: 200, body: hello}" },
		func() { w.MCP = ", sse: {path: /sse}, websocket: {path: /ws}, limits: {pending: 32}" },
	} {
		change()
		w.MustApply(w.YAML())
		more()
	}
	for name, c := range all {
		c.ExpectChanged(t)
		for _, tool := range []string{"ask", "two__ask"} {
			if r, err := c.Session.CallTool(context.Background(), &mcp.CallToolParams{Name: tool, Arguments: map[string]any{"text": "well?"}}); err != nil || r.IsError {
				t.Errorf("%s: elicitation by %s: %v, %+v", name, tool, err, r)
			}
		}
		c.Stop(t)
	}
	w.Members, w.Route, w.MCP = "one", "", ", sse: {path: /sse}, websocket: {path: /ws}"
	w.MustApply(w.YAML())
	w.SettlesAt(before)
}

// data returns the data line of the next event.
func (l *rawStream) data() string {
	l.t.Helper()
	for {
		line, err := l.events.ReadString('\n')
		if err != nil {
			l.t.Fatalf("the stream ended: %v", err)
		}
		if strings.HasPrefix(line, "data: ") {
			return strings.TrimSpace(line)
		}
	}
}

func (l *rawStream) send(body, token string) int {
	l.t.Helper()
	r, err := http.NewRequest("POST", l.post, strings.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := l.hc.Do(r)
	if err != nil {
		l.t.Fatal(err)
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

func TestAtDrainTimeoutSessionsOfOneStreamEndCleanly(t *testing.T) {
	t.Parallel()
	w := harness.NewStreamWorld(t)
	ws := w.WebSocket(t, "/ws", "")
	l := newRawStream(t, w, "/sse", "")
	if status := l.send(harness.Initialize, ""); status != http.StatusAccepted || !strings.Contains(l.data(), `"protocolVersion":"2024-11-05"`) {
		t.Errorf("initialize: %d", status)
	}
	w.Limits = "idle_timeout: 1m"
	w.MustApply(w.YAML())
	var draining int
	for _, d := range w.Status().Draining {
		draining += d.Streams
	}
	if draining != 2 {
		t.Errorf("%d streams are said to drain: %+v", draining, w.Status().Draining)
	}
	if rest, err := io.ReadAll(l.events); err != nil || strings.Contains(string(rest), "data") {
		t.Errorf("the SSE stream ended with %v after %q", err, rest)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, _, err := ws.Read(ctx); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the WebSocket ended with %v, want 1001", err)
	}
	// The connections of the old listener end with it, whatever client uses them.
	l.hc.CloseIdleConnections()
	testkit.Retry(t, "the session's end", func() error {
		if status := l.send(harness.Initialize, ""); status != http.StatusNotFound {
			return fmt.Errorf("%d", status)
		}
		return nil
	})
}

func TestAReaderOfOneStreamThatIsTooSlowIsEnded(t *testing.T) {
	t.Parallel()
	w := harness.NewStreamWorld(t)
	l := newRawStream(t, w, "/sse", "")
	l.send(harness.Initialize, "")
	l.data()
	body := `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo","arguments":{"text":"` + strings.Repeat("a", 1<<20) + `"}}}`
	// Some dozens of answers fill the kernel's buffers and the stream's; a machine
	// that runs other tests needs its time for them.
	testkit.RetryFor(t, 2*time.Minute, "the session's end", func() error {
		if status := l.send(body, ""); status != http.StatusNotFound {
			return fmt.Errorf("%d", status)
		}
		return nil
	})
}

func TestASessionOfOneStreamBelongsToItsToken(t *testing.T) {
	t.Parallel()
	w := harness.NewWorld(t)
	harness.WriteFile(t, w.Dir, "jwt.key", []byte(harness.Secret))
	w.Route = `  - match: {path: /private}
    auth: {jwt: {hmac_secret_files: [jwt.key], leeway: 0s}}
    mcp: {clusters: [one], sse: {path: /private/sse}, websocket: {path: /private/ws}}`
	w.MustApply(w.YAML())
	signed := func(subject string, life time.Duration) string {
		s, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": "x", "sub": subject, "exp": time.Now().Add(life).Unix()}).SignedString([]byte(harness.Secret))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	l := newRawStream(t, w, "/private/sse", signed("alice", time.Hour))
	for token, want := range map[string]int{"": 401, signed("bob", time.Hour): 403, signed("alice", 2*time.Hour): 202} {
		if status := l.send(harness.Initialize, token); status != want {
			t.Errorf("%d, want %d", status, want)
		}
	}
	if _, resp, err := websocket.Dial(context.Background(), "wss"+strings.TrimPrefix(w.URL("/private/ws"), "https"), &websocket.DialOptions{HTTPClient: l.hc}); err == nil || resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a WebSocket without a token: %v", err)
	}
	// As soon as the token ends, so does what it opened.
	ws := w.WebSocket(t, "/private/ws", signed("alice", 2*time.Second))
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if _, _, err := ws.Read(ctx); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("the WebSocket ended with %v, want 1008", err)
	}
	// The id in the URI is as good as a token's other half: it is not logged.
	if _, id, _ := strings.Cut(l.post, "sessionId="); strings.Contains(w.Logs.String(), id) {
		t.Error("the log has the session's id")
	}
}
