package mcp

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

func TestErrorWithoutAnIDKeepsItsText(t *testing.T) {
	const nothing = `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"the database is closed","data":{"until":"noon"}}}`
	for name, answer := range map[string]func(w http.ResponseWriter){
		"JSON": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, nothing)
		},
		"SSE": func(w http.ResponseWriter) { say(w, []byte(nothing)) },
		"400": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, nothing)
		},
		"500": func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, nothing)
		},
	} {
		t.Run(name, func(t *testing.T) {
			url := newScript(t, func(w http.ResponseWriter, m *jsonrpc.Message) {
				if m.Method() == "ping" {
					w.Header().Set("Content-Type", "application/json")
					_, _ = w.Write(jsonrpc.NewResult(m.ID(), nil))
					return
				}
				answer(w)
			}, nil)
			one := newGateway(t, nil, backend{name: "odd", endpoints: []string{url}})
			id := one.initialize()
			for _, method := range []string{"tools/call", "prompts/get"} {
				_, body := one.post(`{"jsonrpc":"2.0","id":7,"method":"`+method+`","params":{"name":"x"}}`, spec.HeaderSession, id)
				if !strings.Contains(body, `"id":7`) || !strings.Contains(body, `"code":-32000`) || !strings.Contains(body, "the database is closed") || !strings.Contains(body, `"until":"noon"`) {
					t.Errorf("%s: %s", method, body)
				}
			}
			both := newGateway(t, nil, backend{name: "odd", endpoints: []string{url}}, newServer(t, "alpha").backend("alpha"))
			id = both.initialize()
			_, body := both.post(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"odd__x"}}`, spec.HeaderSession, id)
			if !strings.Contains(body, `"id":7`) || !strings.Contains(body, "the database is closed") {
				t.Errorf("a federation: %s", body)
			}
			both.post(listBody, spec.HeaderSession, id)
			if !both.trace.has("the database is closed") {
				t.Errorf("a list of a federation: %q", both.trace.all())
			}
		})
	}
	for _, status := range []int{400, 500} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, nothing)
		}))
		defer srv.Close()
		g := newGateway(t, nil, backend{name: "odd", endpoints: []string{srv.URL}})
		if _, body := g.post(initBody); !strings.Contains(body, `"id":0`) || !strings.Contains(body, "the database is closed") {
			t.Errorf("initialize, %d: %s", status, body)
		}
	}
}
