package mcp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// rawServer is an MCP server that says exactly what a test tells it to.
type rawServer struct {
	url    string
	result func(method string) string
	status int // instead of an answer
	// capabilities are what it declares, {"tools":{}} unless a test says otherwise.
	capabilities string

	mu      sync.Mutex
	bodies  map[string]string
	headers map[string]http.Header
}

func newRawServer(t testing.TB, result func(method string) string) *rawServer {
	s := &rawServer{result: result, capabilities: `{"tools":{}}`, bodies: map[string]string{}, headers: map[string]http.Header{}}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	s.url = srv.URL + "/mcp"
	return s
}

func (s *rawServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	if s.status != 0 {
		w.Header().Set("WWW-Authenticate", "Bearer")
		w.WriteHeader(s.status)
		return
	}
	body, _ := io.ReadAll(r.Body)
	var m struct {
		ID     json.RawMessage
		Method string
		Params struct{ ProtocolVersion string }
	}
	if err := json.Unmarshal(body, &m); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.bodies[m.Method], s.headers[m.Method] = string(body), r.Header.Clone()
	s.mu.Unlock()
	if m.ID == nil {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	result := s.result(m.Method)
	if m.Method == "initialize" {
		w.Header().Set(spec.HeaderSession, "raw")
		result = `{"protocolVersion":"` + m.Params.ProtocolVersion + `","capabilities":` + s.capabilities + `,"serverInfo":{"name":"raw","version":"1"}}`
	}
	_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":`+string(m.ID)+`,"result":`+result+`}`)
}

func (s *rawServer) last(method string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bodies[method]
}

func (s *rawServer) header(method string) http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.headers[method]
}

// newScript is a server whose answers to requests, but for initialize, a test
// writes by itself. What is no request is given to other, if it is not nil.
func newScript(t testing.TB, request func(w http.ResponseWriter, m *jsonrpc.Message), other func(m *jsonrpc.Message)) string {
	raw := newRawServer(t, func(string) string { return "{}" })
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		m, err := jsonrpc.Parse(body)
		switch {
		case err != nil || m.Method() == "initialize":
			r.Body = io.NopCloser(bytes.NewReader(body))
			raw.ServeHTTP(w, r)
		case m.Kind() == jsonrpc.Request:
			request(w, m)
		default:
			if other != nil {
				other(m)
			}
			w.WriteHeader(http.StatusAccepted)
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL + "/mcp"
}

// say writes messages as events.
func say(w http.ResponseWriter, messages ...[]byte) {
	w.Header().Set("Content-Type", "text/event-stream")
	for _, m := range messages {
		_, _ = fmt.Fprintf(w, "data: %s\n\n", m)
	}
	_ = http.NewResponseController(w).Flush()
}
