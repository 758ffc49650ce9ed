package upstream

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

func limited(o *settings) { o.MaxMessage, o.MaxResult = 2000, 5000 }

// tooLong fails the test unless err names the limit of results.
func tooLong(t *testing.T, err error) {
	t.Helper()
	if !errors.As(err, new(*TooLongError)) || !strings.Contains(err.Error(), "limits.result (5000)") || Repeatable(err) {
		t.Errorf("got %v", err)
	}
}

func TestAnswersOverTheLimitDisturbNothingElse(t *testing.T) {
	c, e := cluster(t, command("stdio-odd"))
	s := mustOpen(t, c, e, limited)
	other := make(chan error, 1)
	go func() {
		_, err := s.call("later")
		other <- err
	}()
	if m := <-s.messages; m.Method() != "waiting" {
		t.Fatalf("the server: %s", m.Raw())
	}
	const ok = `{"jsonrpc":"2.0","id":%id,"result":{}}`
	for _, line := range []string{
		`{"jsonrpc":"2.0","id":%id,"result":{"text":"%long"}}`,
		`{"result":{"text":"%long","id":1},"jsonrpc":"2.0","id":%id}`,
		`{"jsonrpc":"2.0","id":"%id","error":{"code":1,"message":"%long"}}`,
	} {
		_, err := s.lines(line)
		tooLong(t, err)
	}
	// Those that are not answers pass by.
	if _, err := s.lines(
		`INFO %long`,
		`{"level":"info","message":"%long"}`,
		`{"jsonrpc":"2.0","id":123456,"result":"%long"}`,
		`{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"%long"}}`,
		`{"jsonrpc":"2.0","id":9,"method":"sampling/createMessage","params":{"a":"%long"}}`,
		ok,
	); err != nil {
		t.Error(err)
	}
	if m := <-s.messages; m.Method() != "refused" || m.Params().Get("id").ID() != jsonrpc.IntID(9) {
		t.Errorf("the server: %s", m.Raw())
	}
	if _, err := s.call("release"); err != nil {
		t.Error(err)
	}
	if err := <-other; err != nil {
		t.Errorf("the other call: %v", err)
	}
	if s.Err() != nil {
		t.Errorf("the session: %v", s.Err())
	}
	// Whose answer it was cannot be said.
	_, err := s.lines(`[{"jsonrpc":"2.0","id":%id,"result":{"text":"%long"}}]`)
	tooLong(t, err)
}

func TestMessagesWithinTheirLimitsPass(t *testing.T) {
	c, e := cluster(t, command("stdio-odd"))
	s := mustOpen(t, c, e, func(o *settings) { o.MaxMessage, o.MaxResult = 2000, 20000 })
	m, err := s.lines(`{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"%long"}}`, `{"jsonrpc":"2.0","id":%id,"result":{"text":"%long"}}`)
	if err != nil || len(m.Result().Get("text").String()) != 10000 {
		t.Errorf("the result: %v", err)
	}
	if len(s.messages) != 0 {
		t.Errorf("got %.100s", (<-s.messages).Raw())
	}
	s = mustOpen(t, c, e, func(o *settings) { o.MaxMessage, o.MaxResult = 20000, 5000 })
	_, err = s.lines(`{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"%long"}}`, `{"jsonrpc":"2.0","id":%id,"result":{"text":"%long"}}`)
	tooLong(t, err)
	if m := <-s.messages; m.Method() != "notifications/message" {
		t.Errorf("got %.100s", m.Raw())
	}
}

func TestAnswersOverTheLimitByHTTP(t *testing.T) {
	long := strings.Repeat("x", 100<<10)
	f := newFake(t)
	f.post = func(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message) {
		result := fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":{"text":"%s"}}`, m.ID(), long)
		switch m.Method() {
		case "json":
			answerJSON(w, []byte(result))
		case "event":
			stream(w, "id: 1\ndata: %s\n\n", result)
			<-r.Context().Done() // the stream stays open
		case "lines":
			stream(w, "id: 1\ndata: {\ndata: \"result\": {},%s\ndata: \"jsonrpc\":\"2.0\",\ndata: \"id\":%s}\n\n", strings.Repeat("\ndata: ", 10000), m.ID())
			<-r.Context().Done()
		case "notification":
			stream(w, ": %s\n\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"a\",\"params\":{\"a\":\"%s\"}}\r\n\r\n", long, long)
			stream(w, "data: {\"jsonrpc\":\"2.0\",\"method\":\"b\",\"params\":{\"a\":\"%s\"}}\n\n", long[:3000])
			stream(w, "data: {\"jsonrpc\":\"2.0\",\"id\":99,\"result\":\"%s\"}\n\n", long)
			stream(w, "data: %s\n\n", jsonrpc.NewResult(m.ID(), nil))
		}
	}
	c, e := cluster(t, at(f.URL))
	s := mustOpen(t, c, e, limited)
	for _, method := range []string{"json", "event", "lines"} {
		_, err := s.call(method)
		tooLong(t, err)
	}
	if _, err := s.call("notification"); err != nil {
		t.Errorf("notifications: %v", err)
	}
	if len(s.messages) != 0 {
		t.Errorf("got %.100s", (<-s.messages).Raw())
	}
	if n := len(f.seen(http.MethodGet)); n != 0 || s.Err() != nil {
		t.Errorf("%d streams were resumed, the session: %v", n, s.Err())
	}
}

func TestAnswersThatAreNoneOnTheStreamOfSSE(t *testing.T) {
	c, e := cluster(t, ssePeer(t, func(m *jsonrpc.Message, say func(string), _ func()) int {
		switch m.Method() {
		case "long":
			say(fmt.Sprintf("data: {\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":\"%s\"}\n\n", m.ID(), strings.Repeat("x", 100<<10)))
		case "nan":
			say(fmt.Sprintf("data: {\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":NaN}\n\n", m.ID()))
		case "string":
			say(fmt.Sprintf("data: {\"jsonrpc\":\"2.0\",\"id\":\"%s\",\"result\":{}}\n\n", m.ID()))
		}
		return http.StatusAccepted
	}))
	s := mustOpen(t, c, e, limited)
	_, err := s.call("long")
	tooLong(t, err)
	if _, err := s.call("nan"); !errors.As(err, new(*UnreadableError)) {
		t.Errorf("NaN: %v", err)
	}
	if _, err := s.call("string"); err != nil {
		t.Errorf("an id of another type: %v", err)
	}
	if s.Err() != nil {
		t.Errorf("the session: %v", s.Err())
	}
}
