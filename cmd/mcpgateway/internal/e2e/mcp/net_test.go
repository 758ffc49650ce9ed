package mcp_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

// netConfig is the gateway of net.md: JWT on /mcp/http, and one strict cluster.
func netConfig(endpoint, tls string) string {
	return fmt.Sprintf(`
listeners:
  - name: public
    address: localhost:0
    tls: {certificates: [{cert: server.crt, key: server.key}]}
routes:
  - match: {path: /health}
    health: live
  - match: {path: /mcp/http}
    auth: {jwt: {issuer: mcpgateway, audiences: [mcpgateway-api], hmac_secret_files: [jwt.secret]}}
    mcp: {clusters: [mtls-test-server]}
clusters:
  - name: mtls-test-server
    endpoints: [%s]
    tls: {%s}
    health_check: {interval: 200ms, healthy_threshold: 1}
`, endpoint, tls)
}

// NET-01: a strict-mTLS MCP server behind the gateway, called by curl.
func TestToolsOfAStrictServerComeBackByTheUsersOwnCommands(t *testing.T) {
	for name, path := range map[string]string{"HTTP+SSE": "/sse", "Streamable HTTP": "/mcp"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := harness.ShortDir(t)
			harness.Certificates(t, dir)
			harness.WriteFile(t, dir, "jwt.secret", []byte(harness.Secret+"\n"))
			h := harness.Streamable(harness.NewTools("one"))
			if path == "/sse" {
				h = harness.SSE(harness.NewTools("one"))
			}
			server := harness.NewStrictServer(t, "localhost:0", harness.Read(t, dir, "ca.crt"), harness.Read(t, dir, "server.crt"), harness.Read(t, dir, "server.key"), h)
			const identity = "ca_cert: ca.crt, client_cert: client.crt, client_key: client.key, allow_common_name: true"
			g := harness.Start(t, dir, netConfig("https://localhost:"+server.Port()+path, identity))

			g.Eventually("the cluster to be healthy", func() error { return harness.ClusterHealth(g, "mtls-test-server", "healthy") })
			out := harness.Shell(t, dir, `curl -sS --cacert ca.crt -X POST "https://localhost:$PORT/mcp/http" \
  -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \
  -d '{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}'`, "PORT="+g.Port("public"), "TOKEN="+harness.Token(t))
			var answer struct {
				ID     int
				Result struct{ Tools []struct{ Name string } }
			}
			if err := json.Unmarshal([]byte(out), &answer); err != nil || answer.ID != 1 || len(answer.Result.Tools) != 2 {
				t.Fatalf("the tools did not come back: %v\n%s", err, out)
			}
			code := harness.Shell(t, dir, `curl -sS -o /dev/null -w "%{http_code}" --cacert ca.crt -X POST "https://localhost:$PORT/mcp/http" -H "Content-Type: application/json" -d '{}'`, "PORT="+g.Port("public"))
			if code != "401" {
				t.Errorf("without a token: %s, want 401", code)
			}
			for _, peer := range server.Seen() {
				if peer != "Client" {
					t.Errorf("a connection came as %q", peer)
				}
			}
		})
	}
}

func TestAnEndpointByAddressNeedsServerName(t *testing.T) {
	t.Parallel()
	dir := harness.ShortDir(t)
	harness.Certificates(t, dir)
	harness.WriteFile(t, dir, "jwt.secret", []byte(harness.Secret))
	server := harness.NewStrictServer(t, "127.0.0.1:0", harness.Read(t, dir, "ca.crt"), harness.Read(t, dir, "server.crt"), harness.Read(t, dir, "server.key"), harness.Streamable(harness.NewTools("one")))
	const identity = "ca_cert: ca.crt, client_cert: client.crt, client_key: client.key, allow_common_name: true"
	endpoint := "https://127.0.0.1:" + server.Port() + "/mcp"
	g := harness.Start(t, dir, netConfig(endpoint, identity))
	g.Eventually("the error to name server_name", func() error {
		for _, c := range g.Status().Clusters {
			for _, e := range c.Endpoints {
				if e.Health == "unhealthy" && strings.Contains(e.Error, "server_name") {
					return nil
				}
			}
		}
		return fmt.Errorf("%+v", g.Status().Clusters)
	})
	g.MustApply(netConfig(endpoint, identity+", server_name: localhost"))
	g.Eventually("server_name to cure it", func() error { return harness.ClusterHealth(g, "mtls-test-server", "healthy") })

	g.MustApply(netConfig(endpoint, "ca_cert: ca.crt, client_cert: client.crt, client_key: client.key, server_name: localhost"))
	g.Eventually("the error to name allow_common_name", func() error {
		for _, c := range g.Status().Clusters {
			if e := c.Endpoints[0]; e.Health == "unhealthy" && strings.Contains(e.Error, "allow_common_name") {
				return nil
			}
		}
		return fmt.Errorf("%+v", g.Status().Clusters)
	})
}
