package main_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// overWebSocket lets the official SDK speak over a WebSocket.
type overWebSocket struct {
	ws   *websocket.Conn
	once *sync.Once
}

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

// newLineWorld is a world that serves HTTP+SSE and WebSockets too.
func newLineWorld(t *testing.T, env ...string) *world {
	w := newWorld(t, env...)
	w.mcp = ", sse: {path: /sse}, websocket: {path: /ws}"
	w.mustApply(w.yaml())
	return w
}

func (w *world) url(path string) string { return "https://" + w.address("public") + path }

// webSocket opens one; token may be "".
func (w *world) webSocket(t testing.TB, path, token string) *websocket.Conn {
	t.Helper()
	header := http.Header{}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	ws, _, err := websocket.Dial(context.Background(), "wss"+strings.TrimPrefix(w.url(path), "https"), &websocket.DialOptions{
		HTTPClient: client(t, w.ca.PEM(), "http/1.1"), HTTPHeader: header, Subprotocols: []string{"mcp"},
	})
	if err != nil {
		t.Fatalf("WebSocket: %v", err)
	}
	t.Cleanup(func() { ws.CloseNow() })
	return ws
}

// lines returns a session of each kind that has one stream.
func (w *world) lines(t testing.TB, tool string) map[string]*caller {
	t.Helper()
	all := map[string]*caller{"WebSocket": callOver(t, tool, overWebSocket{w.webSocket(t, "/ws", ""), new(sync.Once)})}
	for _, protocol := range []string{"http/1.1", "h2"} {
		all["SSE over "+protocol] = callOver(t, tool, &mcp.SSEClientTransport{Endpoint: w.url("/sse"), HTTPClient: client(t, w.ca.PEM(), protocol)})
	}
	return all
}

func TestSessionsOfOneStreamLastOverEveryReloadAndLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	w := newLineWorld(t)
	for _, c := range w.lines(t, "echo") {
		c.more(t, 2)
		c.stop(t)
	}
	var before weight
	w.eventually("the process to rest", func() (err error) { before, err = w.weigh(); return err })
	all := w.lines(t, "echo")
	more := func() {
		for _, c := range all {
			c.more(t, 5)
		}
	}
	more()
	for _, change := range []func(){
		func() { w.issueServer(t) },
		func() { w.issueClient(t, "one", "client one again") },
		func() { w.members = "one, two" },
		func() { w.route = "  - match: {path: /hello}\n    respond: {status: 200, body: hello}" },
		func() { w.mcp = ", sse: {path: /sse}, websocket: {path: /ws}, limits: {pending: 32}" },
	} {
		change()
		w.mustApply(w.yaml())
		more()
	}
	for name, c := range all {
		c.expectChanged(t)
		for _, tool := range []string{"ask", "two__ask"} {
			if r, err := c.session.CallTool(context.Background(), &mcp.CallToolParams{Name: tool, Arguments: map[string]any{"text": "well?"}}); err != nil || r.IsError {
				t.Errorf("%s: elicitation by %s: %v, %+v", name, tool, err, r)
			}
		}
		c.stop(t)
	}
	w.members, w.route, w.mcp = "one", "", ", sse: {path: /sse}, websocket: {path: /ws}"
	w.mustApply(w.yaml())
	w.settlesAt(before)
}

const hello = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2024-11-05","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}`

// rawLine is a stream of HTTP+SSE without an SDK.
type rawLine struct {
	t      testing.TB
	hc     *http.Client
	events *bufio.Reader
	post   string
}

func (w *world) rawLine(t testing.TB, path, token string) *rawLine {
	t.Helper()
	l := &rawLine{t: t, hc: client(t, w.ca.PEM(), "http/1.1")}
	r, err := http.NewRequest("GET", w.url(path), nil)
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
	l.post = w.url(strings.TrimPrefix(l.data(), "data: "))
	return l
}

// data returns the data line of the next event.
func (l *rawLine) data() string {
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

func (l *rawLine) send(body, token string) int {
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
	w := newLineWorld(t)
	ws := w.webSocket(t, "/ws", "")
	l := w.rawLine(t, "/sse", "")
	if status := l.send(hello, ""); status != http.StatusAccepted || !strings.Contains(l.data(), `"protocolVersion":"2024-11-05"`) {
		t.Errorf("initialize: %d", status)
	}
	w.limits = "idle_timeout: 1m"
	w.mustApply(w.yaml())
	var draining int
	for _, d := range w.status().Draining {
		draining += d.Streams
	}
	if draining != 2 {
		t.Errorf("%d streams are said to drain: %+v", draining, w.status().Draining)
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
	eventually(t, "the session's end", func() error {
		if status := l.send(hello, ""); status != http.StatusNotFound {
			return fmt.Errorf("%d", status)
		}
		return nil
	})
}

func TestAReaderOfOneStreamThatIsTooSlowIsEnded(t *testing.T) {
	t.Parallel()
	w := newLineWorld(t)
	l := w.rawLine(t, "/sse", "")
	l.send(hello, "")
	l.data()
	body := `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo","arguments":{"text":"` + strings.Repeat("a", 1<<20) + `"}}}`
	// Some dozens of answers fill the kernel's buffers and the stream's; a machine
	// that runs other tests needs its time for them.
	within(t, 2*time.Minute, "the session's end", func() error {
		if status := l.send(body, ""); status != http.StatusNotFound {
			return fmt.Errorf("%d", status)
		}
		return nil
	})
}

func TestASessionOfOneStreamBelongsToItsToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	writeFile(t, w.dir, "jwt.key", []byte(secret))
	w.route = `  - match: {path: /private}
    auth: {jwt: {hmac_secret_files: [jwt.key], leeway: 0s}}
    mcp: {clusters: [one], sse: {path: /private/sse}, websocket: {path: /private/ws}}`
	w.mustApply(w.yaml())
	signed := func(subject string, life time.Duration) string {
		s, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": "x", "sub": subject, "exp": time.Now().Add(life).Unix()}).SignedString([]byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	l := w.rawLine(t, "/private/sse", signed("alice", time.Hour))
	for token, want := range map[string]int{"": 401, signed("bob", time.Hour): 403, signed("alice", 2*time.Hour): 202} {
		if status := l.send(hello, token); status != want {
			t.Errorf("%d, want %d", status, want)
		}
	}
	if _, resp, err := websocket.Dial(context.Background(), "wss"+strings.TrimPrefix(w.url("/private/ws"), "https"), &websocket.DialOptions{HTTPClient: l.hc}); err == nil || resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a WebSocket without a token: %v", err)
	}
	// As soon as the token ends, so does what it opened.
	ws := w.webSocket(t, "/private/ws", signed("alice", 2*time.Second))
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if _, _, err := ws.Read(ctx); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("the WebSocket ended with %v, want 1008", err)
	}
	// The id in the URI is as good as a token's other half: it is not logged.
	if _, id, _ := strings.Cut(l.post, "sessionId="); strings.Contains(w.logs.String(), id) {
		t.Error("the log has the session's id")
	}
}
