package auth_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

// A web page of evil.example whose name the attacker rebinds to the gateway's
// address is, to the browser, of one origin with it: Host and Origin agree. A
// unix socket stands for every listener off loopback.
func TestARebindingPageIsRefusedOffLoopback(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(harness.Streamable(harness.NewTools("one")))
	t.Cleanup(func() { upstream.CloseClientConnections(); upstream.Close() })
	dir := harness.ShortDir(t)
	socket := filepath.Join(dir, "s.sock")
	harness.Start(t, dir, fmt.Sprintf(`
reload: {watch: false}
listeners: [{name: public, address: "unix:%s"}]
routes:
  - {match: {path: /open}, mcp: {clusters: [one], sse: {path: /open/sse}, websocket: {path: /open/ws}}}
  - {match: {path: /hosts, hosts: ["*.example.com"]}, mcp: {clusters: [one]}}
  - {match: {path: /allowed}, mcp: {clusters: [one], allowed_hosts: [mcp.example.com]}}
  - {match: {path: /origins}, mcp: {clusters: [one], allowed_origins: ["https://app.example.com"]}}
clusters:
  - {name: one, endpoints: ["%s/mcp"]}
`, socket, upstream.URL))
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	defer client.CloseIdleConnections()
	for _, c := range []struct {
		method, path, host, origin string
		status                     int
		says                       string
	}{
		{"POST", "/open", "evil.example", "", 200, ""},
		{"POST", "/open", "evil.example", "http://evil.example", 403, "allowed_origins"},
		{"POST", "/open", "localhost", "http://localhost", 403, "allowed_origins"},
		{"OPTIONS", "/open", "evil.example", "http://evil.example", 403, "allowed_origins"},
		{"GET", "/open/sse", "evil.example", "http://evil.example", 403, "allowed_origins"},
		{"POST", "/open/sse/message?sessionId=x", "evil.example", "http://evil.example", 403, "allowed_origins"},
		{"GET", "/open/ws", "evil.example", "http://evil.example", 403, "allowed_origins"},
		{"POST", "/hosts", "a.example.com", "http://a.example.com", 200, ""},
		{"POST", "/hosts", "a.example.com", "http://a.example.com:81", 403, "port"},
		{"POST", "/hosts", "a.example.com", "https://a.example.com", 403, "scheme"},
		{"POST", "/hosts", "evilexample.com", "http://evilexample.com", 404, ""},
		{"POST", "/allowed", "mcp.example.com", "http://mcp.example.com", 200, ""},
		{"POST", "/allowed", "evil.example", "http://evil.example", 403, "this host"},
		{"POST", "/origins", "evil.example", "http://evil.example", 403, "allowed_origins"},
		{"POST", "/origins", "any.example", "https://app.example.com", 200, ""},
	} {
		r, err := http.NewRequest(c.method, "http://gateway"+c.path, strings.NewReader(call))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = c.host
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		if strings.HasSuffix(c.path, "/ws") {
			r.Header.Set("Connection", "Upgrade")
			r.Header.Set("Upgrade", "websocket")
			r.Header.Set("Sec-WebSocket-Version", "13")
			r.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != c.status {
			resp.Body.Close() // of a stream that should not be
			t.Errorf("%s %s, Host %s, Origin %s: %d, want %d", c.method, c.path, c.host, c.origin, resp.StatusCode, c.status)
			continue
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !strings.Contains(string(body), c.says) {
			t.Errorf("%s %s, Host %s, Origin %s: %.300s, %v; want %q", c.method, c.path, c.host, c.origin, body, err, c.says)
		}
	}
}

func TestValidateSaysWherePagesMayNotCall(t *testing.T) {
	t.Parallel()
	const warning = "names no hosts"
	for _, c := range []struct {
		address, match, mcp string
		warned              bool
	}{
		{"0.0.0.0:8080", "", "", true},
		{"unix:/run/gw.sock", "", "", true},
		{"127.0.0.1:8080", "", "", false},
		{"0.0.0.0:8080", `, hosts: [mcp.example.com]`, "", false},
		{"0.0.0.0:8080", "", `, allowed_hosts: ["*.example.com"]`, false},
		{"0.0.0.0:8080", "", `, allowed_origins: ["https://app.example.com"]`, false},
	} {
		dir := t.TempDir()
		harness.WriteFile(t, dir, "config.yaml", fmt.Appendf(nil, `
listeners: [{name: public, address: "%s"}]
routes: [{match: {path: /mcp%s}, mcp: {clusters: [one]%s}}]
clusters: [{name: one, endpoints: ["http://127.0.0.1:1/mcp"]}]
`, c.address, c.match, c.mcp))
		out, err := harness.Command(t, dir, "validate", "-c", "config.yaml").CombinedOutput()
		if err != nil || strings.Contains(string(out), warning) != c.warned {
			t.Errorf("%+v: %v\n%s", c, err, out)
		}
	}
}
