package mcp

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
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
	g.post(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}`, sessionHeader, id, "Accept", "application/json")
	eventually(t, "requests are answered", func() bool { return answers.Load() == 8 })
	s := g.hub.find(id)
	s.mu.Lock()
	asks := len(s.asks)
	s.mu.Unlock()
	if asks > 8 {
		t.Errorf("%d requests of the server are in flight", asks)
	}
	close(release)
	eventually(t, "all are settled", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.asks) == 0
	})
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
	_, body := g.post(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"x","_meta":{"progressToken":"mine"}}}`, sessionHeader, id)
	if n := strings.Count(body, `"progressToken":"mine"`); n != burst || !strings.Contains(body, `"content":[]`) {
		t.Errorf("%d of %d notifications, answer %v", n, burst, strings.Contains(body, `"content":[]`))
	}
}
