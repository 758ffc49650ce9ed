package routes

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/internal/memory"
)

// 503 with Retry-After asks a client to send its request again, which must not be
// where the upstream has acted on it.
func TestAnAnswerForWhichThereIsNoMemoryAsksForNoOtherPOST(t *testing.T) {
	server := upstreamH2C(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush() // its length is not known
	}))
	s, err := load(t, `
routes: [{match: {path_prefix: /}, cluster: up}]
clusters: [{name: up, endpoints: ['`+server+`'], protocols: [h2]}]
listeners: [{name: test, address: '127.0.0.1:0'}]`)
	if err != nil {
		t.Fatal(err)
	}
	set, err := clusters.NewSet(s.Clusters, nil, clusters.Options{})
	if err != nil {
		t.Fatal(err)
	}
	set.Commit()
	defer func() { set.Release(); _ = set.Wait(context.Background()) }()
	budget := memory.New(nil)
	budget.SetLimit(1 << 20)
	if err := budget.Charge(memory.Answer, 600<<10); err != nil {
		t.Fatal(err)
	}
	rt, err := NewRouter(s.Routes, Deps{Clusters: set, Memory: budget})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	for method, want := range map[string]int{"POST": 502, "PATCH": 502, "GET": 503, "PUT": 503} {
		w := httptest.NewRecorder()
		rt.Handler("test").ServeHTTP(w, httptest.NewRequest(method, "http://localhost/", io.Reader(strings.NewReader("x"))))
		if again := w.Header().Get("Retry-After") != ""; w.Code != want || again != (want == 503) {
			t.Errorf("%s: %d, with Retry-After: %v", method, w.Code, again)
		}
	}
}
