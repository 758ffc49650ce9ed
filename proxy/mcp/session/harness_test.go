package session

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// within returns a context that ends with the test, or after a while.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// newScript is a server whose answers to requests, but for initialize, a test writes
// by itself. r has the headers of the request. It has a stream that says nothing.
func newScript(t testing.TB, request func(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message)) string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Type", "text/event-stream")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		}
		body, _ := io.ReadAll(r.Body)
		m, err := jsonrpc.Parse(body)
		switch {
		case err != nil || m.Kind() != jsonrpc.Request:
			w.WriteHeader(http.StatusAccepted)
		case m.Method() == spec.Initialize:
			w.Header().Set(spec.HeaderSession, "script")
			answer(w, m, `{"protocolVersion":"`+spec.NewestLegacy+`","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"script","version":"1"}}`)
		case m.Method() == spec.ServerDiscover:
			w.WriteHeader(http.StatusBadRequest)
		default:
			request(w, r, m)
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// answer answers a request of a script.
func answer(w http.ResponseWriter, m *jsonrpc.Message, result string) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(jsonrpc.NewResult(m.ID(), []byte(result)))
}

// front is a registry with one route, to which tests speak as a transport does.
type front struct {
	t     testing.TB
	all   *Registry
	route atomic.Pointer[Route]
	set   *clusters.Set
}

// names are the clusters of a front, in order.
var names = []string{"alpha", "beta"}

// newFront returns one in front of the servers.
func newFront(t testing.TB, tune func(*Settings), servers ...string) *front {
	t.Helper()
	f := &front{t: t, all: NewRegistry(Options{Name: "mcpgateway", Version: "test"})}
	var cfgs []clusters.Config
	for i, url := range servers {
		c := clusters.Config{Name: names[i], Endpoints: []string{url}}
		if err := config.Defaults(&c); err != nil {
			t.Fatal(err)
		}
		cfgs = append(cfgs, c)
	}
	set, err := clusters.NewSet(cfgs, nil, clusters.Options{})
	if err != nil {
		t.Fatal(err)
	}
	set.Commit()
	f.set = set
	t.Cleanup(func() {
		f.all.Close(within(t))
		set.Release()
	})
	f.commit(len(servers), tune)
	return f
}

// commit puts a generation in force with the first so many clusters.
func (f *front) commit(members int, tune func(*Settings)) {
	f.t.Helper()
	settings := Settings{Name: "test", Namespace: "auto", Clusters: f.set}
	for _, v := range []any{&settings.Timeouts, &settings.Limits, &settings.Resume} {
		if err := config.Defaults(v); err != nil {
			f.t.Fatal(err)
		}
	}
	for _, name := range names[:members] {
		settings.Members = append(settings.Members, federation.Member{Name: name})
	}
	if tune != nil {
		tune(&settings)
	}
	route, err := f.all.NewRoute(settings)
	if err != nil {
		f.t.Fatal(err)
	}
	f.all.Commit([]*Route{route})
	f.route.Store(route)
}

// from is a client that sends these headers upstream.
func (f *front) from(headers ...string) Sender {
	from := Sender{Route: f.route.Load(), Info: &filter.RequestInfo{}, Header: http.Header{}}
	for i := 0; i < len(headers); i += 2 {
		from.Header.Set(headers[i], headers[i+1])
	}
	return from
}

// open begins a session.
func (f *front) open() Session {
	f.t.Helper()
	from := f.from()
	m := f.parse(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}`)
	var s Session
	err := from.Initialize(within(f.t), m, eventstream.Options{Bytes: 1 << 20}, func(id string, _ eventstream.Reader) {
		s, _ = from.Route.Find(id, Streamable)
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

func (f *front) parse(body string) *jsonrpc.Message {
	m, err := jsonrpc.Parse([]byte(body))
	if err != nil {
		panic(err)
	}
	return m
}

// post sends a message in a session, and returns the answer.
func (f *front) post(s Session, body string, headers ...string) string {
	from, m := f.from(headers...), f.parse(body)
	if !s.Enter(from.Route) {
		return ""
	}
	defer s.Exit()
	if m.Kind() != jsonrpc.Request {
		s.Inform(context.Background(), from, m, func(f func()) { f() })
		return ""
	}
	st := s.NewResumable(eventstream.Options{Open: true, Bytes: 1 << 20})
	reader := st.Reader()
	if err := s.Launch(from, m, st); err != nil {
		return string(Failed(err).Body(m.ID()))
	}
	defer s.Leave(reader)
	return written(context.Background(), reader)
}

// single sends a message without a session.
func (f *front) single(body string, headers ...string) string {
	from, m := f.from(headers...), f.parse(body)
	answer := ""
	write := func(r eventstream.Reader, _ func() []byte) { answer = written(context.Background(), r) }
	if err := from.Call(context.Background(), from.Route.OwnInit(spec.NewestLegacy), m, eventstream.Options{Bytes: 1 << 20}, write); err != nil {
		return string(Failed(err).Body(m.ID()))
	}
	return answer
}

// listen opens a stream for what belongs to no call, until ctx ends.
func (f *front) listen(ctx context.Context, s Session) {
	route := f.route.Load()
	if !s.Enter(route) {
		return
	}
	defer s.Exit()
	st := s.NewResumable(eventstream.Options{Kind: eventstream.Standing, Open: true, Eager: true, Bytes: 1 << 20})
	reader := st.Reader()
	if s.Listen(st, route.Limits.Streams) == nil {
		defer s.Leave(reader)
		written(ctx, reader)
	}
}

// written is what a reader has read.
func written(ctx context.Context, r eventstream.Reader) string {
	w := httptest.NewRecorder()
	eventstream.Serve(ctx, w, r, eventstream.Serving{
		Observer: unobserved{},
	})
	return w.Body.String()
}

type unobserved struct{}

func (unobserved) Begun() func()               { return func() {} }
func (unobserved) Interrupted(eventstream.End) {}
