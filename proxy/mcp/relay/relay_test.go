package relay

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// seen is one request that came to the gateway of a test.
type seen struct {
	*http.Request
	method, id, body string
}

// gateway says what a test tells it to.
type gateway struct {
	t      *testing.T
	url    string
	answer func(w http.ResponseWriter, s seen)

	mu  sync.Mutex
	all []seen
}

func newGateway(t *testing.T, answer func(w http.ResponseWriter, s seen)) *gateway {
	g := &gateway{t: t, answer: answer}
	srv := httptest.NewServer(g)
	t.Cleanup(srv.Close)
	g.url = srv.URL + "/mcp"
	return g
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var m struct {
		ID     json.RawMessage
		Method string
	}
	_ = json.Unmarshal(body, &m)
	s := seen{r, m.Method, string(m.ID), string(body)}
	g.mu.Lock()
	g.all = append(g.all, s)
	g.mu.Unlock()
	g.answer(w, s)
}

// calls are the requests of a method; "" is GET.
func (g *gateway) calls(method string) (found []seen) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.all {
		if s.method == method && (s.Request.Method == http.MethodPost || method == "") {
			found = append(found, s)
		}
	}
	return found
}

func result(w http.ResponseWriter, s seen, text string) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, "{\n \"jsonrpc\": \"2.0\",\r\n \"id\": %s, \"result\": %s}\n", s.id, text)
}

// desk is the client of a relay.
type desk struct {
	t     *testing.T
	in    *io.PipeWriter
	lines *bufio.Reader
	done  chan error
}

func connect(t *testing.T, g *gateway, token func() (string, error)) *desk {
	t.Helper()
	inRead, inWrite := io.Pipe()
	outRead, outWrite := io.Pipe()
	d := &desk{t: t, in: inWrite, lines: bufio.NewReader(outRead), done: make(chan error, 1)}
	if token == nil {
		token = func() (string, error) { return "", nil }
	}
	transport := &http.Transport{}
	relay := New(Options{URL: g.url, Transport: transport, Token: token, Patience: 5 * time.Second, Log: func(line string) { t.Log(line) }})
	go func() {
		err := relay.Run(context.Background(), inRead, outWrite)
		outWrite.Close()
		transport.CloseIdleConnections()
		d.done <- err
	}()
	t.Cleanup(func() {
		inWrite.Close()
		go func() { _, _ = io.Copy(io.Discard, outRead) }()
		<-d.done
	})
	return d
}

func (d *desk) say(message string) {
	d.t.Helper()
	if _, err := io.WriteString(d.in, message+"\n"); err != nil {
		d.t.Fatal(err)
	}
}

// hear returns the next message.
func (d *desk) hear() string {
	d.t.Helper()
	line, err := d.lines.ReadString('\n')
	if err != nil {
		d.t.Fatal(err)
	}
	return line
}

// end closes the input, and returns why the relay ended.
func (d *desk) end() error {
	d.in.Close()
	err := <-d.done
	d.done <- err
	return err
}

const (
	hello   = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}`
	begun   = `{"jsonrpc":"2.0","method":"notifications/initialized"}`
	welcome = `{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"g","version":"1"}}`
)

// sessionGateway is a gateway of a revision with sessions. Its session has the id
// current says; other answers than those to initialize are the test's.
func sessionGateway(t *testing.T, current func() string, answer func(w http.ResponseWriter, s seen)) *gateway {
	return newGateway(t, func(w http.ResponseWriter, s seen) {
		switch {
		case s.method == "initialize":
			w.Header().Set("Mcp-Session-Id", current())
			result(w, s, welcome)
		case s.Header.Get("Mcp-Session-Id") != current():
			w.WriteHeader(http.StatusNotFound)
		case s.Request.Method == http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
		case s.Request.Method == http.MethodPost && s.id == "":
			w.WriteHeader(http.StatusAccepted)
		default:
			answer(w, s)
		}
	})
}

// greet begins a session.
func (d *desk) greet() {
	d.t.Helper()
	d.say(hello)
	if got := d.hear(); !strings.Contains(got, `"id": 0`) {
		d.t.Fatal(got)
	}
	d.say(begun)
}

func TestASessionIsKeptAndLeft(t *testing.T) {
	g := sessionGateway(t, func() string { return "s1" }, func(w http.ResponseWriter, s seen) {
		if s.Request.Method == http.MethodGet {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		result(w, s, "{}")
	})
	d := connect(t, g, nil)
	d.greet()
	d.say(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	if got := d.hear(); got != "{  \"jsonrpc\": \"2.0\",   \"id\": 1, \"result\": {}}\n" {
		t.Errorf("%q", got)
	}
	if err := d.end(); err != nil {
		t.Error(err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	at := slices.IndexFunc(g.all, func(s seen) bool { return s.Request.Method == http.MethodDelete })
	if at < 0 {
		t.Fatal("the session is not deleted")
	}
	last := g.all[at]
	if last.Request.Method != http.MethodDelete || last.Header.Get("Mcp-Session-Id") != "s1" || last.Header.Get("Mcp-Protocol-Version") != "2025-11-25" {
		t.Errorf("%s %v", last.Request.Method, last.Header)
	}
}

func TestALostSessionIsBegunAnewAsItWas(t *testing.T) {
	var mu sync.Mutex
	id := "s1"
	current := func() string { mu.Lock(); defer mu.Unlock(); return id }
	g := sessionGateway(t, current, func(w http.ResponseWriter, s seen) {
		if s.Request.Method == http.MethodGet {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		result(w, s, `{"in":"`+current()+`"}`)
	})
	d := connect(t, g, nil)
	d.greet()
	for i, m := range []string{
		`"method":"logging/setLevel","params":{"level":"debug"}`, `"method":"resources/subscribe","params":{"uri":"a:1"}`,
		`"method":"resources/subscribe","params":{"uri":"a:2"}`, `"method":"resources/unsubscribe","params":{"uri":"a:1"}`,
	} {
		d.say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,%s}`, i+1, m))
		d.hear()
	}
	for len(g.calls("notifications/initialized")) == 0 {
		time.Sleep(time.Millisecond)
	}
	mu.Lock()
	id = "s2"
	mu.Unlock()
	// Many find the session lost at once; a call was surely not acted on.
	for i := range 5 {
		d.say(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"x"}}`, i+10))
	}
	answers, changed := 0, 0
	for range 6 {
		switch got := d.hear(); {
		case strings.Contains(got, `"in":"s2"`):
			answers++
		case strings.Contains(got, "notifications/tools/list_changed"):
			changed++
		default:
			t.Error(got)
		}
	}
	if answers != 5 || changed != 1 || len(g.calls("initialize")) != 2 || len(g.calls("notifications/initialized")) != 2 {
		t.Errorf("%d answers, %d list_changed, %d times initialize", answers, changed, len(g.calls("initialize")))
	}
	if subs := g.calls("resources/subscribe"); len(subs) != 3 || !strings.Contains(subs[2].body, `"a:2"`) || len(g.calls("logging/setLevel")) != 2 {
		t.Errorf("%d subscriptions", len(subs))
	}
}

func TestASecondSessionEndsTheFirstOnceItsMessagesAreThrough(t *testing.T) {
	var mu sync.Mutex
	sessions := 0
	came, answered := make(chan struct{}), make(chan struct{})
	canceled := make(chan bool, 1)
	g := newGateway(t, func(w http.ResponseWriter, s seen) {
		switch {
		case s.method == "initialize":
			mu.Lock()
			sessions++
			w.Header().Set("Mcp-Session-Id", fmt.Sprint("s", sessions))
			mu.Unlock()
			result(w, s, welcome)
		case s.method == "notifications/x":
			close(came)
			select {
			case <-s.Context().Done():
				canceled <- true
			case <-answered:
				canceled <- false
			}
			w.WriteHeader(http.StatusAccepted)
		case s.Request.Method == http.MethodGet:
			w.WriteHeader(http.StatusMethodNotAllowed)
		default:
			w.WriteHeader(http.StatusAccepted)
		}
	})
	d := connect(t, g, nil)
	d.greet()
	d.say(`{"jsonrpc":"2.0","method":"notifications/x"}`)
	<-came
	d.say(hello)
	d.hear()
	time.AfterFunc(100*time.Millisecond, func() { close(answered) })
	if <-canceled {
		t.Error("a notification of the first session is cut off")
	}
	deleted := func() (ids []string) {
		g.mu.Lock()
		defer g.mu.Unlock()
		for _, s := range g.all {
			if s.Request.Method == http.MethodDelete {
				ids = append(ids, s.Header.Get("Mcp-Session-Id"))
			}
		}
		return ids
	}
	testkit.Eventually(t, "the first session is deleted", func() bool { return slices.Equal(deleted(), []string{"s1"}) })
}

func TestAnotherRevisionAfterALossEndsTheRelay(t *testing.T) {
	lost := false
	var mu sync.Mutex
	g := newGateway(t, func(w http.ResponseWriter, s seen) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case s.method == "initialize" && !lost:
			w.Header().Set("Mcp-Session-Id", "s1")
			result(w, s, welcome)
		case s.method == "initialize":
			w.Header().Set("Mcp-Session-Id", "s2")
			result(w, s, strings.ReplaceAll(welcome, "2025-11-25", "2025-06-18"))
		case s.Request.Method == http.MethodGet:
			w.WriteHeader(http.StatusMethodNotAllowed)
		default:
			lost = true
			w.WriteHeader(http.StatusNotFound)
		}
	})
	d := connect(t, g, nil)
	d.say(hello)
	d.hear()
	d.say(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	if got := d.hear(); !strings.Contains(got, `"id":1,"error"`) {
		t.Error(got)
	}
	err := <-d.done
	d.done <- err
	if err == nil || !strings.Contains(err.Error(), "came back with revision 2025-06-18") {
		t.Error(err)
	}
}

func hijack(w http.ResponseWriter) {
	if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
		conn.Close()
	}
}

func TestAToolCallThatMayHaveBeenActedOnIsNotRepeated(t *testing.T) {
	var mu sync.Mutex
	broken := map[string]bool{}
	g := sessionGateway(t, func() string { return "s1" }, func(w http.ResponseWriter, s seen) {
		if s.Request.Method == http.MethodGet {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		mu.Lock()
		first := !broken[s.method]
		broken[s.method] = true
		mu.Unlock()
		if first {
			hijack(w)
			return
		}
		result(w, s, "{}")
	})
	d := connect(t, g, nil)
	d.greet()
	d.say(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}`)
	if got := d.hear(); !strings.Contains(got, `"id":1,"error":{"code":-32603,"message":"the connection to the gateway was lost; whether it acted on the request is unknown`) {
		t.Error(got)
	}
	d.say(`{"jsonrpc":"2.0","id":2,"method":"tools/list"}`)
	if got := d.hear(); !strings.Contains(got, `"result": {}`) {
		t.Error(got)
	}
	if n, m := len(g.calls("tools/call")), len(g.calls("tools/list")); n != 1 || m != 2 {
		t.Errorf("%d calls, %d lists", n, m)
	}
}

func TestABrokenStreamIsResumed(t *testing.T) {
	g := sessionGateway(t, func() string { return "s1" }, func(w http.ResponseWriter, s seen) {
		w.Header().Set("Content-Type", "text/event-stream")
		switch from := s.Header.Get(spec.HeaderLastEventID); {
		case s.method == "tools/call":
			fmt.Fprint(w, "id: e1\nretry: 1\ndata:\n\nid: e2\ndata: {\"jsonrpc\":\"2.0\",\ndata: \"method\":\"notifications/message\"}\n\n")
		case from == "e2":
			fmt.Fprint(w, "id: e3\ndata:\n\n")
		case from == "e3":
			fmt.Fprint(w, "id: e4\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"done\":true}}\n\n")
		default:
			_ = http.NewResponseController(w).Flush()
			<-s.Context().Done()
		}
	})
	d := connect(t, g, nil)
	d.greet()
	d.say(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}`)
	if got := d.hear(); got != `{"jsonrpc":"2.0", "method":"notifications/message"}`+"\n" {
		t.Errorf("%q", got)
	}
	if got := d.hear(); !strings.Contains(got, `"done":true`) {
		t.Error(got)
	}
	if n := len(g.calls("tools/call")); n != 1 {
		t.Errorf("%d calls", n)
	}
}

func TestRefusalsAreToldAndTokensAskedForAgain(t *testing.T) {
	var mu sync.Mutex
	token := "old"
	g := newGateway(t, func(w http.ResponseWriter, s seen) {
		switch s.Header.Get("Authorization") {
		case "Bearer new":
			result(w, s, "{}")
		default:
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":{"code":"unauthorized","message":"the bearer token is not valid"}}`)
		}
	})
	d := connect(t, g, func() (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if token == "" {
			return "", errors.New("the file is gone")
		}
		return token, nil
	})
	expect := func(set, want string) {
		t.Helper()
		mu.Lock()
		token = set
		mu.Unlock()
		d.say(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
		if got := d.hear(); !strings.Contains(got, want) {
			t.Error(got)
		}
	}
	expect("old", "the gateway answered 401 Unauthorized: the bearer token is not valid")
	expect("", "401 Unauthorized")
	expect("new", `"result": {}`)
}

func TestALineThatIsTooLongIsPassedOver(t *testing.T) {
	g := newGateway(t, func(w http.ResponseWriter, s seen) { result(w, s, "{}") })
	d := connect(t, g, nil)
	d.say(`{"jsonrpc":"2.0","id":1,"method":"` + strings.Repeat("x", maxMessage) + `"}`)
	d.say(`{"jsonrpc":"2.0","id":2,"method":"ping"}`)
	if got := d.hear(); !strings.Contains(got, `"id": 2`) {
		t.Error(got)
	}
}

func TestAClientThatReadsNoMoreDoesNotHoldTheEnd(t *testing.T) {
	g := newGateway(t, func(w http.ResponseWriter, s seen) { result(w, s, "{}") })
	d := connect(t, g, nil)
	d.say(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	if err := d.end(); err != nil {
		t.Error(err)
	}
}
