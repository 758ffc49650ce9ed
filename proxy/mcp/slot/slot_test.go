package slot

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/clusters/process"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is an MCP server that remembers what it was sent.
type server struct {
	*httptest.Server
	mu           sync.Mutex
	capabilities string
	session      int // of which initialize was the last; 0: every session is lost
	got          []string
	hang         chan struct{} // closed when a call has come that is not answered
}

func newServer(t *testing.T) *server {
	s := &server{capabilities: `{"tools":{"listChanged":true}}`}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	m, err := jsonrpc.Parse(body)
	if r.Method != http.MethodPost || err != nil {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.Method() == spec.ServerDiscover {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.got = append(s.got, string(body))
	result := `{}`
	switch {
	case m.Method() == spec.Initialize:
		s.session++
		result = `{"protocolVersion":"` + spec.NewestLegacy + `","capabilities":` + s.capabilities + `,"serverInfo":{"name":"s","version":"1"}}`
	case r.Header.Get(spec.HeaderSession) != strings.Repeat("s", s.session):
		w.WriteHeader(http.StatusNotFound)
		return
	case m.Kind() != jsonrpc.Request:
		w.WriteHeader(http.StatusAccepted)
		return
	case s.hang != nil:
		close(s.hang)
		s.mu.Unlock()
		<-r.Context().Done()
		s.mu.Lock()
		return
	}
	w.Header().Set(spec.HeaderSession, strings.Repeat("s", s.session))
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":`+m.ID().Raw()+`,"result":`+result+`}`)
}

// lose makes the server forget its sessions, and declare other capabilities.
func (s *server) lose(capabilities string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.session, s.capabilities = s.session+1, capabilities
}

// sent reports whether the server was sent a message with this text.
func (s *server) sent(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.got, func(body string) bool { return strings.Contains(body, text) })
}

// owner is a session of nothing else, and its only call.
type owner struct {
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
	changed chan struct{}
	lesser  chan struct{}
}

func (o *owner) Go(f func(context.Context)) bool {
	if o.ctx.Err() != nil {
		return false
	}
	o.running.Go(func() { f(o.ctx) })
	return true
}
func (o *owner) Received(*Upstream, *jsonrpc.Message) {}
func (o *owner) Progress(*jsonrpc.Message)            {}
func (o *owner) ListsChanged()                        { o.changed <- struct{}{} }
func (o *owner) Listening() bool                      { return false }
func (o *owner) Lesser()                              { o.lesser <- struct{}{} }

// newSlot returns a slot at the server, which the test's end ends.
func newSlot(t *testing.T, s *server) (*Slot, *owner, *Call) {
	t.Helper()
	var cfg clusters.Config
	if err := config.Defaults(&cfg); err != nil {
		t.Fatal(err)
	}
	cfg.Name, cfg.Endpoints = "one", []string{s.URL}
	set, err := clusters.NewSet([]clusters.Config{cfg}, nil, clusters.Options{})
	if err != nil {
		t.Fatal(err)
	}
	set.Commit()
	t.Cleanup(set.Release)
	members := []federation.Member{{Name: "one"}}
	o := &owner{changed: make(chan struct{}, 9), lesser: make(chan struct{}, 9)}
	o.ctx, o.cancel = context.WithCancel(context.Background())
	slot := New(o, Config{
		Route:      "test",
		Cluster:    "one",
		Client:     &upstream.Client{},
		Init:       []byte(`{"protocolVersion":"` + spec.NewestLegacy + `","capabilities":{},"clientInfo":{"name":"c","version":"1"}}`),
		Naming:     federation.NewNaming("auto", members),
		LogLevel:   func() string { return "" },
		Background: func(f func()) { o.running.Go(f) },
		Own:        func(*process.Process) {},
		Disown:     func(*process.Process) {},
		Opened:     func(_, _, _ string, _ error) {},
		Lost:       func(_, _, _ string, _ error) {},
		Ignored:    func(_, _, _ string, _ error, _ bool) {},
	})
	t.Cleanup(func() {
		o.cancel()
		slot.Leave(ErrEnded)
		o.running.Wait()
	})
	generation := &Generation{Seq: 1, Members: members, Clusters: set, List: 10 * time.Second, Message: 1 << 20, Result: 1 << 20}
	return slot, o, &Call{Generation: generation, Info: &filter.RequestInfo{}, Sink: o}
}

func ping(ctx context.Context, s *Slot, c *Call) error {
	_, err := s.Exchange(ctx, c, true, func(_ *upstream.Server, id jsonrpc.ID) []byte { return jsonrpc.NewRequest(id, spec.Ping, nil) })
	return err
}

func TestLostSessionIsOpenedAnewWithWhatTheClientHasSubscribedTo(t *testing.T) {
	s := newServer(t)
	s.capabilities = `{"resources":{"subscribe":true}}`
	slot, o, c := newSlot(t, s)
	if err := ping(t.Context(), slot, c); err != nil {
		t.Fatal(err)
	}
	slot.Subscribed("x:kept", true)
	slot.Subscribed("x:left", true)
	slot.Subscribed("x:left", false)
	s.lose(s.capabilities)
	if err := ping(t.Context(), slot, c); err != nil {
		t.Fatal(err)
	}
	if !s.sent("x:kept") || s.sent("x:left") {
		t.Errorf("the server was sent %q", s.got)
	}
	select {
	case <-o.changed:
	case <-time.After(10 * time.Second):
		t.Error("the session is not told that the server is back")
	}
}

func TestServerThatComesBackWithLessEndsTheSession(t *testing.T) {
	s := newServer(t)
	slot, o, c := newSlot(t, s)
	if err := ping(t.Context(), slot, c); err != nil {
		t.Fatal(err)
	}
	s.lose(`{"tools":{}}`)
	if err := ping(t.Context(), slot, c); !errors.Is(err, ErrChanged) {
		t.Errorf("the call ended with %v", err)
	}
	select {
	case <-o.lesser:
	default:
		t.Error("the session is not told")
	}
}

func TestFirstAnswerIsNotComparedWithItself(t *testing.T) {
	s := newServer(t)
	s.capabilities = `{"tools":{"listChanged":true},"tools":{}}`
	slot, _, c := newSlot(t, s)
	if err := ping(t.Context(), slot, c); err != nil {
		t.Errorf("the server is not used: %v", err)
	}
}

func TestSlotThatWasLeftOpensNothing(t *testing.T) {
	s := newServer(t)
	slot, _, c := newSlot(t, s)
	why := Removed("one")
	slot.Leave(why)
	if err := ping(t.Context(), slot, c); !errors.Is(err, why) {
		t.Errorf("the call ended with %v", err)
	}
	slot, o, c := newSlot(t, s)
	o.cancel()
	if err := ping(t.Context(), slot, c); !errors.Is(err, ErrEnded) {
		t.Errorf("the call in a session that has ended: %v", err)
	}
	if s.sent(spec.Initialize) {
		t.Error("an upstream session was opened")
	}
}

// canceled is what a client's cancellation looks like.
type canceled struct{}

func (canceled) Error() string { return "canceled" }

func (canceled) Notification(cluster string, id jsonrpc.ID) []byte {
	return jsonrpc.NewNotification(spec.NotificationCancelled, []byte(`{"requestId":`+id.Raw()+`,"reason":"enough of `+cluster+`"}`))
}

func TestCancelledCallIsCancelledAtTheServer(t *testing.T) {
	s := newServer(t)
	slot, _, c := newSlot(t, s)
	if err := ping(t.Context(), slot, c); err != nil {
		t.Fatal(err)
	}
	hang := make(chan struct{})
	s.mu.Lock()
	s.hang = hang
	s.mu.Unlock()
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-hang
		cancel(canceled{})
	}()
	if err := ping(ctx, slot, c); !errors.Is(err, canceled{}) {
		t.Errorf("the call ended with %v", err)
	}
	testkit.Eventually(t, "the client's own words reach the server", func() bool { return s.sent("enough of one") })
}
