package upstream

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

func TestLostSessionIsNoticed(t *testing.T) {
	var current atomic.Pointer[http.Handler]
	restart := func() {
		h := streamableHandler(newServer(newHangs()), nil)
		current.Store(&h)
	}
	restart()
	p := strictPeer(t, "h2", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*current.Load()).ServeHTTP(w, r) }))
	c, e := cluster(t, p.at("/mcp"))
	s := mustOpen(t, c, e)
	s.mustTool("echo", `{}`, nil)
	old := *current.Load()
	restart()

	_, err := s.call("tools/list")
	if !errors.Is(err, ErrSessionLost) || !Repeatable(err) || NotSent(err) {
		t.Errorf("after a restart: %v, repeatable %v, not sent %v", err, Repeatable(err), NotSent(err))
	}
	<-s.Done()
	if !errors.Is(s.Err(), ErrSessionLost) || !errors.Is(<-s.closed, ErrSessionLost) {
		t.Errorf("Err() = %v", s.Err())
	}
	if _, err := s.call("tools/list"); !errors.Is(err, ErrSessionLost) || !NotSent(err) {
		t.Errorf("the next call: %v", err)
	}
	s.Close(t.Context())
	if p.count(http.MethodDelete) != 0 {
		t.Error("a session that is lost was deleted")
	}
	// Ends the SDK's goroutines of the first session.
	current.Store(&old)
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodDelete, "/mcp", nil)
	req.Header.Set(spec.HeaderSession, s.transport.(*streamable).sessionID())
	if res, err := e.RoundTrip(req); err == nil {
		res.Body.Close()
	}
}

func TestStatusesAreToldApart(t *testing.T) {
	for name, test := range map[string]struct {
		status                            int
		body, challenge                   string
		lives                             bool // the session does, and ping is answered
		lost, unauthorized, again, answer bool
	}{
		"401":                     {status: 401, challenge: "Bearer", unauthorized: true, again: true},
		"401 without a challenge": {status: 401, unauthorized: true, lost: true, again: true},
		"403":                     {status: 403, challenge: "Bearer", unauthorized: true, again: true},
		"403 in a live session":   {status: 403, lives: true, unauthorized: true, again: true},
		"403 with the call's id":  {status: 403, body: `{"jsonrpc":"2.0","id":ID,"error":{"code":-32000,"message":"no"}}`, unauthorized: true, lost: true, again: true},
		"404":                     {status: 404, lost: true, again: true},
		"404 of TypeScript":       {status: 404, body: `{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}`, lost: true, again: true},
		"404 for the method":      {status: 404, body: `{"jsonrpc":"2.0","id":ID,"error":{"code":-32601,"message":"Method not found"}}`, answer: true},
		"400":                     {status: 400, body: "nonsense", lost: true, again: true},
		"400 of Python":           {status: 400, body: "Bad Request: No valid session ID provided", lost: true, again: true},
		"400 for the session":     {status: 400, body: `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: No valid session ID provided"}}`, lost: true, again: true},
		"400 with the call's id":  {status: 400, body: `{"jsonrpc":"2.0","id":ID,"error":{"code":-32602,"message":"no session of that name"}}`, lives: true, answer: true},
		"400 for the params":      {status: 400, body: `{"jsonrpc":"2.0","id":ID,"error":{"code":-32602,"message":"no session of that name"}}`, lost: true, again: true},
		"404 for the params":      {status: 404, body: `{"jsonrpc":"2.0","id":ID,"error":{"code":-32602,"message":"no such tool"}}`, lives: true, answer: true},
		"400 with another error":  {status: 400, body: `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"what?"}}`, lost: true, again: true},
		"400 to a live session":   {status: 400, body: "nonsense", lives: true},
		"409":                     {status: 409, lost: true},
		"410":                     {status: 410, lost: true, again: true},
		"413":                     {status: 413},
		"429":                     {status: 429},
		"500":                     {status: 500, body: "<html>\x01oops", lost: true},
		"500 in a live session":   {status: 500, body: "oops", lives: true},
		"503 with the call's id":  {status: 503, body: `{"jsonrpc":"2.0","id":ID,"error":{"code":-32603,"message":"later"}}`, lost: true},
		"503 in a live session":   {status: 503, body: `{"jsonrpc":"2.0","id":ID,"error":{"code":-32603,"message":"later"}}`, lives: true, answer: true},
		"308, which is no answer": {status: 308},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.post = func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
				if test.lives && m.Method() == "ping" {
					answerJSON(w, jsonrpc.NewResult(m.ID(), nil))
					return
				}
				if test.challenge != "" {
					w.Header().Set("WWW-Authenticate", test.challenge)
				}
				w.Header().Set("Location", "https://elsewhere.example/")
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(strings.ReplaceAll(test.body, "ID", m.ID().Raw())))
			}
			c, e := cluster(t, at(f.URL))
			s := mustOpen(t, c, e)
			m, err := s.call("tools/call")
			if test.answer {
				if err != nil || !m.IsError() {
					t.Errorf("%v, %v; want the error response", m, err)
				}
				return
			}
			var status *StatusError
			if !errors.As(err, &status) || status.Code != test.status {
				t.Fatalf("%v, want a status", err)
			}
			if errors.Is(err, ErrSessionLost) != test.lost || errors.Is(err, ErrUnauthorized) != test.unauthorized || Repeatable(err) != test.again || NotSent(err) {
				t.Errorf("%v: lost %v, unauthorized %v, repeatable %v", err, errors.Is(err, ErrSessionLost), errors.Is(err, ErrUnauthorized), Repeatable(err))
			}
			if status.SessionLives() != test.lives {
				t.Errorf("it is found to live: %v", !test.lives)
			}
			if (s.Err() != nil) != test.lost {
				t.Errorf("the session: %v", s.Err())
			}
			if strings.ContainsAny(err.Error(), "\n\x01") {
				t.Errorf("unprintable: %q", err)
			}
		})
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	for name, post := range map[string]func(http.ResponseWriter, *http.Request, *jsonrpc.Message){
		"202":     func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) { w.WriteHeader(202) },
		"HTML":    func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) { _, _ = w.Write([]byte("<html>")) },
		"no JSON": func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) { answerJSON(w, []byte("{")) },
		"a foreign id": func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
			answerJSON(w, jsonrpc.NewResult(jsonrpc.IntID(999), nil))
		},
		"too long JSON": func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
			answerJSON(w, jsonrpc.NewResult(m.ID(), []byte(`"`+strings.Repeat("x", 3000)+`"`)))
		},
		"too long event": func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
			stream(w, "id: 1\ndata: %s\n\n", strings.Repeat("x", 3000))
		},
		"a short stream": func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
			stream(w, "data: {}\n\ndata: %s", m.Raw())
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.post = post
			c, e := cluster(t, at(f.URL))
			s := mustOpen(t, c, e, func(o *settings) { o.MaxMessage, o.MaxResult = 1000, 1000 })
			if m, err := s.call("tools/call"); err == nil || Repeatable(err) {
				t.Errorf("%v, %v, repeatable %v", m, err, Repeatable(err))
			}
			if s.Err() != nil {
				t.Errorf("the session was lost: %v", s.Err())
			}
		})
	}
}

func TestBatchesAreUnpacked(t *testing.T) {
	f := newFake(t)
	f.version = "2025-03-26"
	f.post = func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
		batch := []byte(`[{"jsonrpc":"2.0","method":"notifications/message","params":{}},`)
		batch = append(append(batch, jsonrpc.NewResult(m.ID(), nil)...), ']')
		if m.Method() == "json" {
			answerJSON(w, batch)
		} else {
			stream(w, "data: %s\n\n", batch)
		}
	}
	c, e := cluster(t, at(f.URL))
	s := mustOpen(t, c, e)
	for _, method := range []string{"json", "stream"} {
		if _, err := s.call(method); err != nil {
			t.Error(err)
		}
		if m := <-s.messages; m.Method() != "notifications/message" {
			t.Errorf("got %s", m.Raw())
		}
	}
}

func TestForeignMessagesOnAStreamAreIgnored(t *testing.T) {
	f := newFake(t)
	f.post = func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
		stream(w, "event: keepalive\ndata: {}\n\ndata: {\n\ndata: %s\n\ndata: %s\n\n", jsonrpc.NewResult(jsonrpc.IntID(999), nil), jsonrpc.NewResult(m.ID(), nil))
	}
	c, e := cluster(t, at(f.URL))
	s := mustOpen(t, c, e)
	if _, err := s.call("x"); err != nil {
		t.Error(err)
	}
	for range 2 {
		t.Logf("ignored: %v", <-s.ignored)
	}
}

func TestRequestsCarryTheSession(t *testing.T) {
	f := newFake(t)
	f.post = func(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message) {
		answerJSON(w, jsonrpc.NewResult(m.ID(), nil))
	}
	c, e := cluster(t, at(f.URL+"/mcp"))
	s := mustOpen(t, c, e, func(o *settings) { o.Header = http.Header{"X-Tenant": {"a"}, "Accept": {"nothing"}} })
	if _, err := s.call("x"); err != nil {
		t.Fatal(err)
	}
	s.Close(t.Context())
	for i, r := range f.requests {
		h := r.Header
		if h.Get("X-Tenant") != "a" || r.URL.RequestURI() != "/mcp" || (i > 0) != (h.Get(spec.HeaderSession) == "session-1") || (i > 0) != (h.Get(spec.HeaderVersion) == "2025-11-25") {
			t.Errorf("request %d: %s %s %v", i, r.Method, r.URL, h)
		}
		if r.Method == http.MethodPost && (h.Get("Accept") != "application/json, text/event-stream" || h.Get("Content-Type") != "application/json" || r.ContentLength <= 0) {
			t.Errorf("request %d: %v", i, h)
		}
	}
	if n := len(f.requests); n != 4 || f.requests[3].Method != http.MethodDelete {
		t.Errorf("%d requests, the last one %s", n, f.requests[n-1].Method)
	}
}

// Some servers do not answer ping. That one has no answer says nothing about a
// session, whose state would be lost with it.
func TestAPingWithoutAnAnswerIsNoLoss(t *testing.T) {
	f := newFake(t)
	f.post = func(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message) {
		switch {
		case m.Method() == "ping":
			<-r.Context().Done()
		case m.Method() == "fail":
			http.Error(w, "no", http.StatusInternalServerError)
		case m.Method() == "forbidden":
			http.Error(w, "no", http.StatusForbidden)
		default:
			answerJSON(w, jsonrpc.NewResult(m.ID(), nil))
		}
	}
	c, e := cluster(t, at(f.URL))
	s := mustOpen(t, c, e)
	s.transport.(*streamable).verify = 20 * time.Millisecond
	for _, method := range []string{"fail", "forbidden"} {
		var status *StatusError
		if _, err := s.call(method); !errors.As(err, &status) || errors.Is(err, ErrSessionLost) || !status.SessionLives() {
			t.Errorf("%s: %v", method, err)
		}
	}
	if _, err := s.call("tools/list"); err != nil || s.Err() != nil {
		t.Errorf("after that: %v, %v", err, s.Err())
	}
}

func TestServerEndedPolling(t *testing.T) {
	store := mcp.NewMemoryEventStore(nil)
	p := strictPeer(t, "h2", streamableHandler(newServer(newHangs()), &mcp.StreamableHTTPOptions{EventStore: store}))
	c, e := cluster(t, p.at("/mcp"))
	s := mustOpen(t, c, e)
	start := time.Now()
	if got := s.mustTool("poll", `{"n":50}`, nil); got != "polled" {
		t.Errorf("poll: %q", got)
	}
	if d := time.Since(start); d < 50*time.Millisecond || p.count(http.MethodGet) != 1 {
		t.Errorf("resumed %d times, after %v", p.count(http.MethodGet), d)
	}
}

func TestBrokenStreamIsResumed(t *testing.T) {
	f := newFake(t)
	f.post = func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
		stream(w, "id: 1\nretry: 20\ndata:\n\nid: %s\ndata: %s\n\n", m.ID(), jsonrpc.NewNotification("n", []byte(`{"i":0}`)))
		panic(http.ErrAbortHandler)
	}
	gets := 0
	f.get = func(w http.ResponseWriter, r *http.Request) {
		last := r.Header.Get(spec.HeaderLastEventID)
		switch gets++; gets {
		case 1, 3:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2:
			stream(w, "data: %s\n\n", jsonrpc.NewNotification("n", []byte(`{"i":1}`)))
		default:
			stream(w, "id: z\ndata: {\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{\"i\":2}}\n\n", last)
		}
	}
	c, e := cluster(t, at(f.URL))
	s := mustOpen(t, c, e)
	m, err := s.call("x")
	if err != nil {
		t.Fatal(err)
	}
	if i, _ := m.Result().Get("i").Int(); i != 2 || gets != 4 {
		t.Errorf("got %s after %d GETs", m.Raw(), gets)
	}
	var order []string
	for len(s.messages) > 0 {
		order = append(order, string((<-s.messages).Params().Get("i").Raw()))
	}
	if !slices.Equal(order, []string{"0", "1"}) {
		t.Errorf("notifications %q", order)
	}
}

func TestResumingIsBounded(t *testing.T) {
	for name, test := range map[string]struct {
		get  func(http.ResponseWriter, *http.Request)
		gets int
		lost bool
	}{
		"405":          {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(405) }, 1, false},
		"404":          {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, 1, true},
		"503":          {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, maxResumes, false},
		"empty stream": {func(w http.ResponseWriter, _ *http.Request) { stream(w, ":\n\n") }, maxResumes, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.post = func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
				stream(w, "id: 1\nretry: 0\ndata:\n\n")
			}
			f.get = test.get
			c, e := cluster(t, at(f.URL))
			s := mustOpen(t, c, e)
			_, err := s.call("tools/call")
			if err == nil || Repeatable(err) || errors.Is(err, ErrSessionLost) != test.lost {
				t.Errorf("%v, repeatable %v, lost %v", err, Repeatable(err), errors.Is(err, ErrSessionLost))
			}
			if n := len(f.seen(http.MethodGet)); n != test.gets {
				t.Errorf("%d GETs, want %d", n, test.gets)
			}
		})
	}
}

func TestAnswerStreamsLeaveTheirConnectionUsable(t *testing.T) {
	p := strictPeer(t, "http/1.1", streamableHandler(newServer(newHangs()), nil))
	c, e := cluster(t, p.at("/mcp"))
	s := mustOpen(t, c, e)
	for range 50 {
		s.mustTool("echo", `{}`, nil)
	}
	if n := p.connections.Load(); n > 10 {
		t.Errorf("50 calls, one after the other, took %d connections", n)
	}
}
