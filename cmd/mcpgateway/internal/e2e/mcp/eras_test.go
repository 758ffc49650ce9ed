package mcp_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

// counting is a server that counts the calls of each of its sessions.
func counting(who string) *mcp.Server {
	s := harness.NewTools(who)
	var counts sync.Map
	mcp.AddTool(s, &mcp.Tool{Name: "count"}, func(_ context.Context, r *mcp.CallToolRequest, _ harness.Text) (*mcp.CallToolResult, any, error) {
		n, _ := counts.LoadOrStore(r.Session, new(atomic.Int64))
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: fmt.Sprint(n.(*atomic.Int64).Add(1))}}}, nil, nil
	})
	return s
}

func TestClientsOfBothErasAreServedInTheErasOfTheirServers(t *testing.T) {
	t.Parallel()
	w := harness.NewWorld(t)
	stateful := w.Serve(t, harness.Streamable(counting("stateful")))
	stateless := func(name string) *harness.StrictServer {
		s := counting(name)
		return w.Serve(t, mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, &mcp.StreamableHTTPOptions{Stateless: true}))
	}
	harness.WriteFile(t, w.Dir, "jwt.key", []byte(harness.Secret))
	for _, name := range []string{"stateful", "stateless", "pinned"} {
		w.IssueClient(t, name, name)
	}
	w.More = w.Cluster("stateful", stateful, "") + w.Cluster("stateless", stateless("stateless"), "") +
		w.Cluster("pinned", stateless("pinned"), "mcp: {protocol: 2025-11-25}")
	for name, clusters := range map[string]string{
		"stateful": "stateful", "stateless": "stateless", "pinned": "pinned", "mixed": "stateless, stateful", "forced": "stateful], versions: [2026-07-28",
	} {
		w.Route += fmt.Sprintf(`
  - match: {path: /%s}
    auth: {jwt: {issuer: mcpgateway, audiences: [mcpgateway-api], hmac_secret_files: [jwt.key]}}
    mcp: {clusters: [%s]}`, name, clusters)
	}
	w.MustApply(w.YAML())
	bearer := harness.Token(t)
	dial := func(t *testing.T, path string) *mcp.ClientSession {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		hc := harness.Client(t, w.CA.PEM(), "h2")
		hc.Transport = withToken{bearer, hc.Transport}
		c, err := mcp.NewClient(&mcp.Implementation{Name: "both", Version: "1"}, nil).Connect(ctx,
			&mcp.StreamableClientTransport{Endpoint: "https://" + w.Address("public") + path, HTTPClient: hc}, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	for path, test := range map[string]struct{ version, tool, counts string }{
		"/stateful":  {"2025-11-25", "count", "123"},
		"/stateless": {"2026-07-28", "count", "111"},
		"/pinned":    {"2025-11-25", "count", "111"},
		"/mixed":     {"2025-11-25", "stateful__count", "123"},
		"/forced":    {"2026-07-28", "count", "111"},
	} {
		t.Run(path, func(t *testing.T) {
			// Two programs of one user, in turn.
			programs := []*mcp.ClientSession{dial(t, path), dial(t, path)}
			var counts [2]string
			for range 3 {
				for i, c := range programs {
					if got := c.InitializeResult().ProtocolVersion; got != test.version {
						t.Fatalf("the client speaks %s, want %s", got, test.version)
					}
					n, err := harness.Call(c, test.tool, "")
					if err != nil {
						t.Fatal(err)
					}
					counts[i] += n
				}
			}
			if counts != [2]string{test.counts, test.counts} {
				t.Errorf("the programs count %v, each should count %s", counts, test.counts)
			}
		})
	}
}

// withToken says who asks.
type withToken struct {
	token string
	next  http.RoundTripper
}

func (w withToken) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+w.token)
	return w.next.RoundTrip(r)
}
