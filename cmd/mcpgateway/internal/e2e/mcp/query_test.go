package mcp_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

// A hosted server wants its keys in the URL, and redirects to a path with a
// slash. The keys change without an end of the session, and show nowhere.
func TestEndpointsMayHaveAQueryThatShowsNowhere(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	keys, before := "key=k3y-in-the-url&token=t0ken%26in+a+file", ""
	server := harness.Streamable(harness.NewTools("hosted"))
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		want, old := keys, before
		mu.Unlock()
		switch {
		case r.Method == http.MethodDelete && r.URL.RawQuery == old: // the health check's session ends with its generation
			w.WriteHeader(http.StatusNoContent)
		case r.URL.RawQuery != want:
			t.Errorf("%s %s; want the query %s", r.Method, r.URL, want)
			w.WriteHeader(http.StatusForbidden)
		case r.URL.Path == "/mcp":
			http.Redirect(w, r, "/mcp/?"+r.URL.RawQuery, http.StatusTemporaryRedirect)
		default:
			server.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(upstream.Close)
	dir := harness.ShortDir(t)
	harness.WriteFile(t, dir, "token", []byte("t0ken&in a file\n"))
	yaml := func(key string) string {
		return fmt.Sprintf(`
reload: {watch: false}
log: {level: debug}
listeners: [{name: plain, address: "127.0.0.1:0"}]
routes: [{match: {path: /mcp}, mcp: {clusters: [hosted]}}]
clusters: [{name: hosted, endpoints: ["%s/mcp?key=%s"], query: {token: {file: token}}, health_check: {interval: 1h}}]
`, upstream.URL, key)
	}
	g := harness.Start(t, dir, yaml("k3y-in-the-url"))
	keepAlive := &http.Transport{}
	t.Cleanup(keepAlive.CloseIdleConnections)
	c, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(), &mcp.StreamableClientTransport{
		Endpoint: "http://" + g.Address("plain") + "/mcp", HTTPClient: &http.Client{Transport: keepAlive},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	echo := func() {
		t.Helper()
		res, err := c.CallTool(t.Context(), &mcp.CallToolParams{Name: "echo", Arguments: harness.Text{Text: "hello"}})
		if err != nil || res.IsError {
			t.Fatalf("%v, %v", res, err)
		}
	}
	echo()

	mu.Lock()
	keys, before = "key=k3y-in-the-url&token=an0ther", keys
	mu.Unlock()
	harness.WriteFile(t, dir, "token", []byte("an0ther"))
	g.MustApply(yaml("k3y-in-the-url"))
	echo()

	status, err := json.Marshal(g.Status())
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := g.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	for what, shown := range map[string]string{"the log": g.Logs.String(), "the status": string(status), "the metrics": metrics} {
		for _, secret := range []string{"k3y", "t0ken", "an0ther"} {
			if strings.Contains(shown, secret) {
				t.Errorf("%s shows %s", what, secret)
			}
		}
	}
	if n := strings.Count(g.Logs.String(), "redirects to another path"); n != 1 {
		t.Errorf("the log tells of the redirect %d times", n)
	}
}
