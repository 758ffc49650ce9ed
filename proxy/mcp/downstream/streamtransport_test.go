package downstream

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/session"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// newHandler returns a handler of HTTP+SSE, before a server that answers initialize
// and whose other results are empty.
func newHandler(t testing.TB) *Handler {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		m, err := jsonrpc.Parse(body)
		if err != nil || m.Kind() != jsonrpc.Request {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		result := `{}`
		if m.Method() == spec.Initialize {
			result = `{"protocolVersion":` + string(m.Params().Get("protocolVersion").Raw()) + `,"capabilities":{"tools":{}},"serverInfo":{"name":"raw","version":"1"}}`
		}
		eventstream.WriteJSON(w, http.StatusOK, jsonrpc.NewResult(m.ID(), []byte(result)))
	}))
	t.Cleanup(server.Close)
	c := clusters.Config{Name: "raw", Endpoints: []string{server.URL}}
	settings := session.Settings{Name: "test", Members: []federation.Member{{Name: "raw"}}, Namespace: "auto"}
	for _, dst := range []any{&c, &settings.Timeouts, &settings.Limits} {
		if err := config.Defaults(dst); err != nil {
			t.Fatal(err)
		}
	}
	set, err := clusters.NewSet([]clusters.Config{c}, nil, clusters.Options{})
	if err != nil {
		t.Fatal(err)
	}
	settings.Clusters = set
	registry := session.NewRegistry(session.Options{})
	route, err := registry.NewRoute(settings)
	if err != nil {
		t.Fatal(err)
	}
	set.Commit()
	registry.Commit([]*session.Route{route})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		registry.Close(ctx)
		set.Release()
		if err := set.Wait(ctx); err != nil {
			t.Error(err)
		}
	})
	h, err := New(Settings{Route: route, SSE: "/sse"})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// FuzzStreamTransport feeds a session what no client would send.
func FuzzStreamTransport(f *testing.F) {
	h := newHandler(f)
	initOf := func(version string) string {
		return `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"` + version + `","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`
	}
	for _, seed := range []string{initOf(spec.NewestLegacy), initOf(spec.Batches), `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`, `[{"jsonrpc":"2.0","id":1,"method":"ping"}]`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`, `{"jsonrpc":"2.0","id":1,"result":{}}`, `[]`, ``, `{`} {
		f.Add([]byte(seed), []byte(seed))
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		x := exchange{httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/sse", nil)}
		transport, ok := h.streamable.openStream(x, session.HTTPSSE)
		if !ok {
			t.Fatal("there is no room for a session")
		}
		defer transport.close()
		for _, body := range [][]byte{first, second} {
			err := transport.take(incoming{h.streamable.sender(x), context.Background(), atOnce}, append([]byte(nil), body...))
			if err != nil && parseCode(err) != -32600 && parseCode(err) != -32700 {
				t.Error(err)
			}
		}
	})
}
