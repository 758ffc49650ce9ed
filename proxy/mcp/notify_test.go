package mcp

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// speaker is a server of which a test says what it says unasked.
type speaker struct {
	*rawServer
	say chan string
	// calls, if not nil, answers tools/call.
	calls func(w http.ResponseWriter, r *http.Request, body string)
}

func newSpeaker(t testing.TB) *speaker {
	s := &speaker{rawServer: newRawServer(t, func(string) string { return "{}" }), say: make(chan string)}
	s.capabilities = `{"tools":{"listChanged":true},"prompts":{"listChanged":true},"logging":{}}`
	done := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			say(w)
			for {
				select {
				case text := <-s.say:
					say(w, []byte(text))
				case <-r.Context().Done():
					return
				case <-done:
					return
				}
			}
		}
		body, _ := io.ReadAll(r.Body)
		if m, err := jsonrpc.Parse(body); err == nil && m.Method() == "tools/call" && s.calls != nil {
			s.calls(w, r, string(body))
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		s.rawServer.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	t.Cleanup(func() { close(done) })
	s.url = srv.URL + "/mcp"
	return s
}

// data returns the next so many messages of a stream.
func data(t *testing.T, lines *bufio.Scanner, n int) (all []string) {
	t.Helper()
	for len(all) < n && lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok && text != "" {
			all = append(all, text)
		}
	}
	if len(all) < n {
		t.Fatalf("the stream ended after %q: %v", all, lines.Err())
	}
	return all
}

const (
	logged   = `{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"%"}}`
	toolsNew = `{"jsonrpc":"2.0", "method":"notifications/tools/list_changed", "params":{ "_meta":{"x/n":%}, "more":[1 ,2]}}`
	empty    = `{"jsonrpc":"2.0","method":"notifications/prompts/list_changed","params":{}}`
)

func nth(text, n string) string { return strings.ReplaceAll(text, "%", n) }

func TestNotificationsOfOneServerPassAsTheyAreAndInOrder(t *testing.T) {
	s := newSpeaker(t)
	g := newGateway(t, nil, backend{name: "raw", endpoints: []string{s.url}})
	id := g.initialize()
	lines := g.listen(within(t), id)
	said := []string{
		nth(logged, "1"), nth(toolsNew, "1"), nth(toolsNew, "2"), nth(logged, "2"), empty, nth(logged, "3"), nth(toolsNew, "3"),
		`{"jsonrpc":"2.0","method":"notifications/resources/list_changed"}`, nth(logged, "4"),
	}
	for _, text := range said {
		s.say <- text
	}
	if got := data(t, lines, len(said)); !slices.Equal(got, said) {
		t.Errorf("heard\n%s", strings.Join(got, "\n"))
	}
}

func TestChangedListsOfAFederationAreToldInOrder(t *testing.T) {
	s := newSpeaker(t)
	g := newGateway(t, nil, backend{name: "raw", endpoints: []string{s.url}}, newServer(t, "beta").backend("beta"))
	id := g.initialize()
	lines := g.listen(within(t), id)
	said := []string{
		nth(toolsNew, "1"), nth(toolsNew, "2"), nth(toolsNew, "3"), nth(logged, "1"),
		empty, nth(logged, "2"), nth(toolsNew, "4"),
	}
	for _, text := range said {
		s.say <- text
	}
	// Which of the first three are told depends on the time between them.
	var got []string
	for len(got) == 0 || got[len(got)-1] != nth(toolsNew, "4") {
		got = append(got, data(t, lines, 1)...)
	}
	at := 0
	for _, text := range got {
		i := slices.Index(said[at:], text)
		if i < 0 {
			t.Fatalf("heard out of order, or not as it was said:\n%s", strings.Join(got, "\n"))
		}
		at += i + 1
	}
	for _, text := range said[2:] {
		if !slices.Contains(got, text) {
			t.Errorf("%s is not told", text)
		}
	}
}

// A list that changes in a call is told of before the answer, on the same stream.
func TestAChangedListIsToldBeforeTheAnswer(t *testing.T) {
	s := newSpeaker(t)
	s.calls = func(w http.ResponseWriter, _ *http.Request, body string) {
		m, _ := jsonrpc.Parse([]byte(body))
		say(w, []byte(nth(logged, "1")), []byte(nth(toolsNew, "1")), []byte(nth(logged, "2")), jsonrpc.NewResult(m.ID(), nil))
	}
	g := newGateway(t, nil, backend{name: "raw", endpoints: []string{s.url}})
	_, body := g.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}`, spec.HeaderSession, g.initialize())
	got := data(t, bufio.NewScanner(strings.NewReader(body)), 4)
	if want := []string{nth(logged, "1"), nth(toolsNew, "1"), nth(logged, "2"), `{"jsonrpc":"2.0","id":1,"result":{}}`}; !slices.Equal(got, want) {
		t.Errorf("heard\n%s", body)
	}
}

func TestCancellationsKeepWhatTheySay(t *testing.T) {
	s := newSpeaker(t)
	called := make(chan struct{}, 1)
	s.calls = func(_ http.ResponseWriter, r *http.Request, _ string) {
		called <- struct{}{}
		<-r.Context().Done()
	}
	g := newGateway(t, nil, backend{name: "raw", endpoints: []string{s.url}})
	id := g.initialize()
	lines := g.listen(within(t), id)
	// The client cancels a call.
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.post(`{"jsonrpc":"2.0","id":"c","method":"tools/call","params":{"name":"x"}}`, spec.HeaderSession, id)
	}()
	<-called
	g.post(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"c", "reason":"enough", "_meta":{"x":[1 ,2]}}}`, spec.HeaderSession, id)
	<-done
	testkit.Eventually(t, "the server hears", func() bool { return s.last("notifications/cancelled") != "" })
	before, after, _ := strings.Cut(s.last("notifications/cancelled"), `"requestId":`)
	if before != `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{` || !strings.HasSuffix(after, `, "reason":"enough", "_meta":{"x":[1 ,2]}}}`) {
		t.Errorf("the server heard %s", s.last("notifications/cancelled"))
	}
	// The server takes a question back.
	s.say <- `{"jsonrpc":"2.0","id":77,"method":"roots/list"}`
	question, err := jsonrpc.Parse([]byte(data(t, lines, 1)[0]))
	if err != nil || question.Method() != "roots/list" {
		t.Fatal(question, err)
	}
	s.say <- `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":77, "reason":"never mind", "_meta":{"x":[1 ,2]}}}`
	want := `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":` + question.ID().Raw() + `, "reason":"never mind", "_meta":{"x":[1 ,2]}}}`
	if got := data(t, lines, 1)[0]; got != want {
		t.Errorf("the client heard %s", got)
	}
}
