package upstream

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// fake is a Streamable HTTP server that does what a test tells it to, where
// the official SDK's does not.
type fake struct {
	*httptest.Server
	t testing.TB
	// version is what initialize is answered with.
	version string
	// post answers a POST that is neither initialize nor its notification; get
	// a GET, which is 405 when there is none.
	post func(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message)
	get  func(w http.ResponseWriter, r *http.Request)
	// any answers every POST, if it is not nil.
	any func(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message)

	mu       sync.Mutex
	requests []*http.Request
	sessions int
}

const fakeResult = `{"protocolVersion":%q,"capabilities":{},"serverInfo":{"name":"fake","version":"0"}}`

func newFake(t testing.TB) *fake {
	f := &fake{t: t, version: "2025-11-25"}
	f.Server = plainPeer(t, f.serve)
	return f
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.requests = append(f.requests, r)
	f.mu.Unlock()
	switch r.Method {
	case http.MethodGet:
		if f.get == nil {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		f.get(w, r)
		return
	case http.MethodDelete:
		return
	}
	body, _ := io.ReadAll(r.Body)
	m, err := jsonrpc.Parse(body)
	if err != nil {
		f.t.Errorf("the server got %q: %v", body, err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if f.any != nil {
		f.any(w, r, m)
		return
	}
	f.answer(w, r, m)
}

// answer answers a POST as a server with sessions.
func (f *fake) answer(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message) {
	switch m.Method() {
	case "initialize":
		f.mu.Lock()
		f.sessions++
		w.Header().Set(spec.HeaderSession, fmt.Sprintf("session-%d", f.sessions))
		f.mu.Unlock()
		answerJSON(w, jsonrpc.NewResult(m.ID(), fmt.Appendf(nil, fakeResult, f.version)))
	case "notifications/initialized":
		w.WriteHeader(http.StatusAccepted)
	case "server/discover":
		answerJSON(w, jsonrpc.NewError(m.ID(), jsonrpc.CodeMethodNotFound, "no such method", nil))
	default:
		f.post(w, r, m)
	}
}

// seen returns the requests so far that had the method.
func (f *fake) seen(method string) (list []*http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.requests {
		if r.Method == method {
			list = append(list, r)
		}
	}
	return list
}

func answerJSON(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(body)
}

// stream writes an SSE answer, or a part of one.
func stream(w http.ResponseWriter, format string, args ...any) {
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprintf(w, format, args...)
	_ = http.NewResponseController(w).Flush()
}

// call makes one call without params.
func (s *session) call(method string) (*jsonrpc.Message, error) {
	id := s.NextID()
	return s.Call(s.t.Context(), jsonrpc.NewRequest(id, method, nil), id, nil)
}
