package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// lines makes an odd server write lines in answer to a call, whose id is %id in
// them, and %ff a byte that is not UTF-8.
func (s *session) lines(lines ...string) (*jsonrpc.Message, error) {
	b, _ := json.Marshal(lines)
	id := s.NextID()
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	return s.Call(ctx, jsonrpc.NewRequest(id, "lines", fmt.Appendf(nil, `{"lines":%s}`, b)), id, nil)
}

func TestAnswersWithAnIDOfTheOtherTypeAreTaken(t *testing.T) {
	c, e := cluster(t, command("stdio-odd"))
	s := mustOpen(t, c, e)
	m, err := s.lines(`{"jsonrpc":"2.0","id":"%id","result":{"n":1}}`)
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := m.Result().Get("n").Int(); n != 1 || m.RawID()[0] == '"' {
		t.Errorf("got %s", m.Raw())
	}

	f := newFake(t)
	f.post = func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
		body := fmt.Appendf(nil, `{"jsonrpc":"2.0","id":"%s","result":{}}`, m.ID())
		if m.Method() == "json" {
			answerJSON(w, body)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "data: %s\n\n", body)
	}
	c, e = cluster(t, at(f.URL))
	s = mustOpen(t, c, e)
	for _, method := range []string{"json", "events"} {
		if _, err := s.call(method); err != nil {
			t.Errorf("%s: %v", method, err)
		}
	}
}

// Some servers read the numbers of JSON as floating point, and write them so.
func TestAnswersWithAnIDThatIsAFloatAreTaken(t *testing.T) {
	c, e := cluster(t, command("stdio-odd"))
	s := mustOpen(t, c, e)
	for _, answer := range []string{`"result":{}`, `"error":{"code":-32000.0,"message":"no"}`} {
		m, err := s.lines(`{"jsonrpc":"2.0","id":%id.0,` + answer + `}`)
		if err != nil || strings.Contains(string(m.RawID()), ".") {
			t.Errorf("stdio: %v, %v", m, err)
		}
	}

	f := newFake(t)
	f.post = func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
		body := fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s.0,"result":{}}`, m.ID())
		if m.Method() == "json" {
			answerJSON(w, body)
			return
		}
		stream(w, "data: %s\n\n", body)
	}
	c, e = cluster(t, at(f.URL))
	s = mustOpen(t, c, e)
	for _, method := range []string{"json", "events"} {
		m, err := s.call(method)
		if err != nil || strings.Contains(string(m.RawID()), ".") {
			t.Errorf("%s: %v, %v", method, m, err)
		}
	}
}

func TestUnreadableAnswersEndTheirCallsAtOnce(t *testing.T) {
	for name, test := range map[string]struct {
		lines  []string
		want   string // of the error
		others bool   // the other calls in flight end, too
	}{
		"a byte that is not UTF-8":  {[]string{`{"jsonrpc":"2.0","id":%id,"result":{"text":"%ff"}}`}, "invalid UTF-8", false},
		"NaN":                       {[]string{`{"jsonrpc":"2.0","id":%id,"result":{"a":"\"NaN","b":[-Infinity,NaN]}}`}, "invalid message at byte", false},
		"an error without code":     {[]string{`{"jsonrpc":"2.0","id":"%id","error":"no"}`}, "error has no integer code", false},
		"no version":                {[]string{`{"id":%id,"result":{}}`}, "jsonrpc is not", false},
		"cut off":                   {[]string{`{"jsonrpc":"2.0","id":%id,"result":{"text":"and`}, "invalid message", true},
		"in several lines":          {[]string{`{`, `"jsonrpc": "2.0",`, `"id": %id,`, `"result": {}`, `}`}, "invalid message", true},
		"not an integer":            {[]string{`{"jsonrpc":"2.0","id":1.5,"result":{}}`}, "not an integer", true},
		"after the answer to none":  {[]string{`{"jsonrpc":"2.0","id":123456,"result":NaN}`, `{"jsonrpc":"2.0","id":%id,"result":NaN}`}, "invalid message", false},
		"after noise":               {[]string{`INFO: NaN`, `{"level":"info","id":5,"error":"NaN"}`, `{"jsonrpc":"2.0","id":%id,"result":NaN}`}, "invalid message", false},
		"after a bad notification":  {[]string{`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":NaN}}`, `{"jsonrpc":"2.0","id":%id,"result":NaN}`}, "invalid message", false},
		"in a batch that is cut":    {[]string{`[{"jsonrpc":"2.0","id":%id,"result":{}},`}, "invalid message", true},
		"of the wrong type, quoted": {[]string{`{"jsonrpc":"2.0","id":"%id","result":NaN}`}, "invalid message", false},
	} {
		t.Run(name, func(t *testing.T) {
			c, e := cluster(t, command("stdio-odd"))
			s := mustOpen(t, c, e)
			other := make(chan error, 1)
			go func() {
				_, err := s.call("later")
				other <- err
			}()
			if m := <-s.messages; m.Method() != "waiting" {
				t.Fatalf("the server: %s", m.Raw())
			}
			_, err := s.lines(test.lines...)
			if !errors.As(err, new(*UnreadableError)) || !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), test.want) || Repeatable(err) {
				t.Errorf("the call: %v, want %q", err, test.want)
			}
			if test.others {
				if err := <-other; !errors.As(err, new(*UnreadableError)) {
					t.Errorf("the other call: %v", err)
				}
				return
			}
			if _, err := s.call("release"); err != nil {
				t.Errorf("the next call: %v", err)
			}
			if err := <-other; err != nil {
				t.Errorf("the other call: %v", err)
			}
		})
	}
}

func TestAnErrorWithoutIDIsThatOfTheCallsInFlight(t *testing.T) {
	c, e := cluster(t, command("stdio-odd"))
	s := mustOpen(t, c, e)
	m, err := s.lines(`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"too odd"}}`)
	if err != nil || m.ErrorMessage() != "too odd" || m.ID().IsZero() {
		t.Errorf("%v, %v", m, err)
	}
}

func TestAnUnreadableRequestOfTheServerIsRefused(t *testing.T) {
	c, e := cluster(t, command("stdio-odd"))
	s := mustOpen(t, c, e)
	if _, err := s.lines(`{"jsonrpc":"2.0","id":9,"method":"sampling/createMessage","params":{"n":NaN}}`, `{"jsonrpc":"2.0","id":%id,"result":{}}`); err != nil {
		t.Fatal(err)
	}
	if m := <-s.messages; m.Method() != "refused" || m.Params().Get("id").ID() != jsonrpc.IntID(9) {
		t.Errorf("the server: %s", m.Raw())
	}
}

func TestAnUnreadableEventOfTheServersOwnIsToldOfAndRefused(t *testing.T) {
	f := newFake(t)
	const own = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"n\":NaN}}\n\n" +
		"data: {\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"sampling/createMessage\",\"params\":{\"n\":NaN}}\n\n"
	refused := make(chan *jsonrpc.Message, 2)
	f.post = func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
		if m.Kind() == jsonrpc.Response {
			refused <- m
			w.WriteHeader(http.StatusAccepted)
			return
		}
		stream(w, own+"data: {\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":{}}\n\n", m.ID())
	}
	f.get = func(w http.ResponseWriter, r *http.Request) {
		stream(w, own)
		<-r.Context().Done()
	}
	c, e := cluster(t, at(f.URL))
	s := mustOpen(t, c, e)
	told := func(what string) {
		t.Helper()
		for _, method := range []string{"notifications/message", "sampling/createMessage"} {
			var dropped *DroppedError
			if err := <-s.ignored; !errors.As(err, &dropped) || dropped.Method != method {
				t.Errorf("%s: %v", what, err)
			}
		}
		if m := <-refused; m.ID() != jsonrpc.IntID(9) || !m.IsError() {
			t.Errorf("%s: the server is told %s", what, m.Raw())
		}
	}
	if _, err := s.call("x"); err != nil {
		t.Error(err)
	}
	told("with an answer")
	s.StartListening()
	told("on the stream of its own")
}

func TestAnUnreadableEventEndsItsCallAtOnce(t *testing.T) {
	f := newFake(t)
	f.post = func(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "id: 1\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"x\",\"params\":{\"n\":NaN}}\n\n")
		fmt.Fprintf(w, "id: 2\ndata: {\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":NaN}\n\n", m.ID())
		w.(http.Flusher).Flush()
		<-r.Context().Done() // the stream stays open
	}
	c, e := cluster(t, at(f.URL))
	s := mustOpen(t, c, e)
	if _, err := s.call("odd"); !errors.As(err, new(*UnreadableError)) {
		t.Errorf("the call: %v", err)
	}
	if n := len(f.seen(http.MethodGet)); n != 0 {
		t.Errorf("the stream was resumed %d times", n)
	}
}

func TestWhatIsIgnoredIsReportedSparingly(t *testing.T) {
	reported, counted := 0, 0
	r := &reporter{onIgnored: func(_ error, report bool) {
		counted++
		if report {
			reported++
		}
	}}
	for range 1000 {
		r.ignore(errors.New("noise"))
	}
	if reported != ignoredReports || counted != 1000 {
		t.Errorf("%d of %d were reported", reported, counted)
	}
}
