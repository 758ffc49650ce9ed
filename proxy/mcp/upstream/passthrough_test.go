package upstream

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// plainHost is a Host that a test server is.
type plainHost struct {
	http.RoundTripper
	url string
}

func (h plainHost) Target() *url.URL {
	u, _ := url.Parse(h.url)
	return u
}

func passThrough(t *testing.T, f *fake) (s *Session, messages chan string) {
	messages = make(chan string, 10)
	pace := Pace{First: time.Millisecond, Longest: 10 * time.Millisecond, Within: time.Second, Spread: true}
	s = PassThrough(plainHost{f.Client().Transport, f.URL}, pace, Options{
		OnMessage: func(m *jsonrpc.Message) { messages <- string(m.Raw()) },
	})
	t.Cleanup(func() { s.Close(t.Context()) })
	return s, messages
}

func TestMessagesPassThroughByteForByte(t *testing.T) {
	const ping, foreign = `{"jsonrpc":"2.0", "id":1,"method":"ping"}`, `{"jsonrpc":"2.0","id":"other","result":{ }}`
	f := newFake(t)
	f.post = func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
		switch m.Method() {
		case "forbidden":
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write(jsonrpc.NewError(m.ID(), -32001, "not you", nil))
		case "refused":
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":{"code":"x","message":"session of no use"}}`))
		case "gone":
			w.WriteHeader(http.StatusNotFound)
		default:
			stream(w, "data: %s\n\ndata: %s\n\ndata: %s\n\n", ping, foreign, `{"jsonrpc":"2.0","id":"\u0061" ,"result":{}}`)
		}
	}
	s, _ := passThrough(t, f)
	id := jsonrpc.IntID(1)
	if _, err := s.Call(t.Context(), jsonrpc.NewRequest(id, spec.Initialize, []byte(initParams)), id, nil); err != nil || s.Server().Version != "2025-11-25" {
		t.Fatal(s.Server(), err)
	}
	var heard []string
	m, err := s.Call(t.Context(), []byte(`{"jsonrpc":"2.0","id":"a","method":"x"}`), jsonrpc.StringID("a"), func(m *jsonrpc.Message) { heard = append(heard, string(m.Raw())) })
	if err != nil || string(m.RawID()) != `"\u0061"` || !slices.Equal(heard, []string{ping, foreign}) {
		t.Errorf("%v, %v; before it %q", m, err, heard)
	}
	if m, err := s.Call(t.Context(), jsonrpc.NewRequest(id, "forbidden", nil), id, nil); err != nil || m.ErrorMessage() != "not you" {
		t.Errorf("403: %v, %v", m, err)
	}
	var status *StatusError
	if _, err := s.Call(t.Context(), jsonrpc.NewRequest(id, "refused", nil), id, nil); !errors.As(err, &status) || status.Snippet != "session of no use" || errors.Is(err, ErrSessionLost) {
		t.Errorf("400: %v", err)
	}
	if _, err := s.Call(t.Context(), jsonrpc.NewRequest(id, "gone", nil), id, nil); !errors.Is(err, ErrSessionLost) || !Repeatable(err) || s.Err() == nil {
		t.Errorf("404: %v", err)
	}
	for _, r := range f.seen(http.MethodPost)[1:] {
		if r.Header.Get(spec.HeaderSession) != "session-1" || r.Header.Get(spec.HeaderVersion) != "2025-11-25" {
			t.Errorf("the headers are %v", r.Header)
		}
	}
}

func TestACancelledCallIsNotResumed(t *testing.T) {
	f := newFake(t)
	f.post = func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) { stream(w, "id: 1\ndata:\n\n") }
	s, _ := passThrough(t, f)
	ctx := WithCaller(t.Context(), &Caller{Unwanted: func() bool { return true }})
	id := jsonrpc.IntID(1)
	if _, err := s.Call(ctx, jsonrpc.NewRequest(id, "x", nil), id, nil); err == nil || Repeatable(err) {
		t.Error(err)
	}
	if n := len(f.seen(http.MethodGet)); n != 0 {
		t.Errorf("%d GETs", n)
	}
}

func TestAnAnswerIsResumedAlsoAfterMoreThanThePatience(t *testing.T) {
	f := newFake(t)
	f.post = func(w http.ResponseWriter, _ *http.Request, _ *jsonrpc.Message) {
		stream(w, "id: 1\nretry: 100\ndata:\n\n")
	}
	f.get = func(w http.ResponseWriter, _ *http.Request) {
		stream(w, "data: %s\n\n", jsonrpc.NewResult(jsonrpc.IntID(1), []byte(`{}`)))
	}
	pace := Pace{First: time.Millisecond, Longest: 10 * time.Millisecond, Within: 10 * time.Millisecond, Spread: true}
	s := PassThrough(plainHost{f.Client().Transport, f.URL}, pace, Options{OnMessage: func(*jsonrpc.Message) {}})
	defer s.Close(t.Context())
	id := jsonrpc.IntID(1)
	if m, err := s.Call(t.Context(), jsonrpc.NewRequest(id, "x", nil), id, nil); err != nil || m.IsError() {
		t.Error(m, err)
	}
}

func TestAnAnswerThatPassesHasTheIDOfItsRequest(t *testing.T) {
	const other = `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no"}}`
	f := newFake(t)
	f.post = func(w http.ResponseWriter, _ *http.Request, m *jsonrpc.Message) {
		if m.Method() == "streamed" {
			stream(w, "data: %s\n\ndata: %s\n\n", other, jsonrpc.NewResult(m.ID(), []byte(`{}`)))
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(other))
	}
	s, _ := passThrough(t, f)
	id := jsonrpc.IntID(1)
	var heard []string
	on := func(m *jsonrpc.Message) { heard = append(heard, string(m.Raw())) }
	if m, err := s.Call(t.Context(), jsonrpc.NewRequest(id, "x", nil), id, on); !errors.Is(err, ErrProtocol) || heard != nil {
		t.Errorf("%v, %v, before it %q", m, err, heard)
	}
	if m, err := s.Call(t.Context(), jsonrpc.NewRequest(id, "streamed", nil), id, on); err != nil || m.IsError() || !slices.Equal(heard, []string{other}) {
		t.Errorf("%v, %v, before it %q", m, err, heard)
	}
}

func TestAttemptsKeepTheirPace(t *testing.T) {
	wake := make(chan struct{})
	close(wake) // none waits
	count := func(a *Attempts) (n int) {
		for n < 100 && a.Again(t.Context(), wake) {
			n++
		}
		return n
	}
	a := &Attempts{Pace: Pace{First: time.Second, Longest: time.Minute, Most: 3}}
	if n := count(a); n != 3 {
		t.Errorf("%d attempts", n)
	}
	a.Reset()
	if n := count(a); n != 3 {
		t.Errorf("%d attempts after one that brought something", n)
	}
	if n := count(&Attempts{Pace: a.Unbounded()}); n != 100 {
		t.Errorf("%d attempts without a bound", n)
	}
	// No time passes: the first is made whatever it waits for, and the fourth would
	// wait for 80 s.
	patient := Pace{First: 10 * time.Second, Longest: time.Hour, Within: 35 * time.Second}
	if n := count(&Attempts{Pace: patient}); n != 3 {
		t.Errorf("%d attempts within 35 s", n)
	}
	patient.Within = 5 * time.Second
	if n := count(&Attempts{Pace: patient}); n != 1 {
		t.Errorf("%d attempts within less than the time before the first", n)
	}
	begun := patient.Begun()
	if n := count(&begun); n != 0 {
		t.Errorf("%d more attempts within less than the time before the second", n)
	}
	resumed, listening := Attempts{Pace: clusterPace(), named: 20 * time.Second}, Attempts{Pace: clusterPace().Unbounded(), n: 1}
	for _, want := range []time.Duration{20, 40, 80, 160, 320} {
		if got := resumed.wait(); got != want*time.Second || !resumed.Again(t.Context(), wake) {
			t.Errorf("an answer is resumed after %v, not %d s", got, want)
		}
	}
	for _, want := range []time.Duration{2, 4, 8, 16, 30, 30} {
		if got := listening.wait(); got != want*time.Second || !listening.Again(t.Context(), wake) {
			t.Errorf("a stream is opened again after %v, not %d s", got, want)
		}
	}
	if n := count(&Attempts{Pace: Pace{First: 1, Longest: 1, Most: 1, Spread: true}}); n != 1 {
		t.Errorf("%d attempts after no time at all", n)
	}
	start := time.Now()
	named := &Attempts{Pace: Pace{First: time.Millisecond, Longest: time.Second, Spread: true}, named: 20 * time.Millisecond}
	if !named.Again(t.Context(), nil) || time.Since(start) < 20*time.Millisecond {
		t.Errorf("the next attempt was after %v, which is before the time that the server named", time.Since(start))
	}
}
