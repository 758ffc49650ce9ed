package mcp

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

func TestServerThatAsksBeforeItRefusesTheSession(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		m, err := jsonrpc.Parse(body)
		if err != nil || m.Method() != "initialize" {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		var messages [][]byte
		for i := range 3 {
			messages = append(messages, jsonrpc.NewRequest(jsonrpc.IntID(int64(i)), "roots/list", nil))
		}
		say(w, append(messages, jsonrpc.NewError(m.ID(), -32000, "not today", nil))...)
	}))
	defer srv.Close()
	// Some of the requests are refused because there is no room for them.
	g := newGateway(t, func(c *Config) { c.Limits.Pending = 2 }, backend{name: "odd", endpoints: []string{srv.URL}})
	if _, body := g.post(initBody); !strings.Contains(body, "not today") {
		t.Error(body)
	}
	// The end of the test waits until nothing of the session is left.
}

func TestFloodOfServerRequestsIsBounded(t *testing.T) {
	const flood = 500
	var answers atomic.Int64
	release := make(chan struct{})
	url := newScript(t, func(w http.ResponseWriter, m *jsonrpc.Message) {
		for i := range flood {
			say(w, jsonrpc.NewRequest(jsonrpc.IntID(int64(i)), "roots/list", nil))
		}
		say(w, jsonrpc.NewResult(m.ID(), nil))
	}, func(m *jsonrpc.Message) {
		if m.Kind() == jsonrpc.Response {
			answers.Add(1)
			<-release
		}
	})
	g := newGateway(t, func(c *Config) { c.Limits.Pending = 4 }, backend{name: "odd", endpoints: []string{url}})
	id := g.initialize()
	g.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}`, spec.HeaderSession, id, "Accept", "application/json")
	testkit.Eventually(t, "requests are answered", func() bool { return answers.Load() == 8 })
	// All requests came before the answer to the call: one that is not answered was not
	// taken in.
	close(release)
	testkit.Eventually(t, "all are settled", func() bool { return g.trace.count("asked odd roots/list") == 8 })
	if n := answers.Load(); n != 8 {
		t.Errorf("%d requests of the server were answered", n)
	}
}

func TestBurstOfProgressReachesTheClient(t *testing.T) {
	const burst = 20000
	url := newScript(t, func(w http.ResponseWriter, m *jsonrpc.Message) {
		token := m.Params().Get("_meta", "progressToken").Raw()
		var messages [][]byte
		for i := range burst {
			messages = append(messages, jsonrpc.NewNotification("notifications/progress", fmt.Appendf(nil, `{"progressToken":%s,"progress":%d}`, token, i)))
		}
		say(w, append(messages, jsonrpc.NewResult(m.ID(), []byte(`{"content":[]}`)))...)
	}, nil)
	g := newGateway(t, nil, backend{name: "busy", endpoints: []string{url}})
	id := g.initialize()
	_, body := g.post(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"x","_meta":{"progressToken":"mine"}}}`, spec.HeaderSession, id)
	if n := strings.Count(body, `"progressToken":"mine"`); n != burst || !strings.Contains(body, `"content":[]`) {
		t.Errorf("%d of %d notifications, answer %v", n, burst, strings.Contains(body, `"content":[]`))
	}
}

// Over a WebSocket one message is read after the other, and what takes time is
// passed on behind the reader's back.
func TestAnAnswerDoesNotOvertakeItsProgress(t *testing.T) {
	stuck, release, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	var got facts
	url := newScript(t, func(w http.ResponseWriter, m *jsonrpc.Message) {
		say(w, jsonrpc.NewRequest(jsonrpc.IntID(1), "sampling/createMessage", []byte(`{"_meta":{"progressToken":"mine"}}`)))
		<-over
		say(w, jsonrpc.NewResult(m.ID(), []byte(`{"content":[]}`)))
	}, func(m *jsonrpc.Message) {
		switch {
		case m.Method() == "notifications/roots/list_changed":
			close(stuck)
			<-release
		case m.Method() == "notifications/progress":
			got.add("progress %s", m.Params().Get("progressToken").Raw())
		case m.Kind() == jsonrpc.Response:
			got.add("answer")
			close(over)
		}
	})
	t.Cleanup(letGo)
	g := newGateway(t, withStreamTransports, backend{name: "asks", endpoints: []string{url}})
	ws := g.openWS(nil)
	ws.ask(initBody)
	asked, err := jsonrpc.Parse([]byte(ws.ask(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"x"}}`)))
	if err != nil || asked.Method() != "sampling/createMessage" {
		t.Fatal(asked, err)
	}
	say := func(body string) {
		t.Helper()
		body = strings.ReplaceAll(body, "ID", asked.ID().Raw())
		if err := ws.ws.Write(within(t), websocket.MessageText, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	say(`{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`)
	<-stuck
	say(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":ID,"progress":1}}`)
	say(`{"jsonrpc":"2.0","id":ID,"result":{}}`)
	ws.ask(`{"jsonrpc":"2.0","id":8,"method":"ping"}`) // all of it has been read
	letGo()
	if answer := ws.next(); !strings.Contains(answer, `"content":[]`) {
		t.Error(answer)
	}
	if order := got.all(); !slices.Equal(order, []string{`progress "mine"`, "answer"}) {
		t.Errorf("the server got %q", order)
	}
}

// Over Streamable HTTP each message is a POST, and a server may be slow to take the
// first.
func TestAnAnswerWaitsForProgressThatIsBeingPosted(t *testing.T) {
	came, release, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	var got facts
	url := newScript(t, func(w http.ResponseWriter, m *jsonrpc.Message) {
		say(w, jsonrpc.NewRequest(jsonrpc.IntID(1), spec.SamplingCreateMessage, []byte(`{"_meta":{"progressToken":"mine"}}`)))
		<-over
		say(w, jsonrpc.NewResult(m.ID(), []byte(`{"content":[]}`)))
	}, func(m *jsonrpc.Message) {
		switch {
		case m.Method() == spec.NotificationProgress:
			close(came)
			<-release
			got.add("progress")
		case m.Kind() == jsonrpc.Response:
			got.add("answer")
			close(over)
		}
	})
	t.Cleanup(letGo)
	g := newGateway(t, nil, backend{name: "asks", endpoints: []string{url}})
	id := g.initialize()
	res, events := g.events(within(t), `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"x"}}`, spec.HeaderSession, id)
	defer res.Body.Close()
	next := func() *jsonrpc.Message {
		t.Helper()
		for {
			event, err := events.Next()
			if err != nil {
				t.Fatal(err)
			}
			if m, err := jsonrpc.Parse(event.Data); err == nil {
				return m
			}
		}
	}
	asked := next().ID().Raw()
	var posts sync.WaitGroup
	posts.Go(func() {
		g.post(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":`+asked+`,"progress":1}}`, spec.HeaderSession, id)
	})
	<-came
	g.post(`{"jsonrpc":"2.0","id":`+asked+`,"result":{}}`, spec.HeaderSession, id)
	time.Sleep(50 * time.Millisecond) // in which the answer would overtake
	letGo()
	posts.Wait()
	if m := next(); m.IsError() || !m.Result().Exists() {
		t.Errorf("the call was answered with %s", m.Raw())
	}
	if order := got.all(); !slices.Equal(order, []string{"progress", "answer"}) {
		t.Errorf("the server got %q", order)
	}
}
