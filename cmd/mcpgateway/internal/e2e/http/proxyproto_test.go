package http_test

import (
	"bufio"
	cryptotls "crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// Behind a load balancer that speaks the PROXY protocol, the client is who it
// says, in the log and to the upstream, which is told of a connection in the
// same way. What the client itself claims is believed by its own address.
func TestThePROXYProtocolComesAndGoes(t *testing.T) {
	t.Parallel()
	ca, dir := tlstest.NewCA(t, "CA"), harness.ShortDir(t)
	cert, key := ca.Server(t, "localhost")
	tlstest.WritePair(t, dir, "server", cert, key)
	upstream := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header["X-Forwarded-For"])
	}))
	// It refuses connections without a header.
	upstream.Listener = &proxyproto.Listener{Listener: upstream.Listener, ConnPolicy: func(proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) { return proxyproto.REQUIRE, nil }}
	upstream.Start()
	t.Cleanup(upstream.Close)
	g := harness.Start(t, dir, fmt.Sprintf(`
listeners:
  - name: public
    address: 127.0.0.1:0
    proxy_protocol: {from: [127.0.0.0/8]}
    trusted_proxies: [192.0.2.8/32]
    tls: {certificates: [{cert: server.crt, key: server.key}]}
routes:
  - {match: {path: /v1}, cluster: v1}
  - {match: {path: /v2}, cluster: v2}
clusters:
  - {name: v1, endpoints: ["%[1]s"], proxy_protocol: v1}
  - {name: v2, endpoints: ["%[1]s"], proxy_protocol: v2}
`, upstream.URL))
	through := func(version byte, client, path string) (string, error) {
		conn, err := net.Dial("tcp", g.Address("public"))
		if err != nil {
			return "", err
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		if version > 0 {
			header := proxyproto.HeaderProxyFromAddrs(version, &net.TCPAddr{IP: net.ParseIP(client), Port: 4711}, &net.TCPAddr{IP: net.IPv4(198, 51, 100, 1), Port: 443})
			if _, err := header.WriteTo(conn); err != nil {
				return "", err
			}
		}
		secure := cryptotls.Client(conn, &cryptotls.Config{RootCAs: ca.Pool(), ServerName: "localhost"})
		if _, err := fmt.Fprintf(secure, "GET %s HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 203.0.113.1\r\nConnection: close\r\n\r\n", path); err != nil {
			return "", err
		}
		res, err := http.ReadResponse(bufio.NewReader(secure), nil)
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		return string(body), err
	}
	for version := byte(1); version <= 2; version++ {
		for client, want := range map[string]string{
			"192.0.2.7": "[192.0.2.7]",              // no trusted proxy
			"192.0.2.8": "[203.0.113.1, 192.0.2.8]", // a trusted one
		} {
			path := fmt.Sprintf("/v%d", version)
			if got, err := through(version, client, path); err != nil || got != want {
				t.Errorf("version %d from %s: the upstream was told %s, %v; want %s", version, client, got, err, want)
			}
		}
	}
	if got, err := through(0, "", "/v1"); err == nil {
		t.Errorf("without a header: %s", got)
	}
	g.Eventually("the clients to stand in the log", func() error {
		seen := map[any]bool{}
		for _, l := range g.LogLines() {
			if path, _ := l["path"].(string); strings.HasPrefix(path, "/v") {
				seen[l["client"]] = true
			}
		}
		if !seen["192.0.2.7"] || !seen["203.0.113.1"] {
			return errors.New(fmt.Sprint(seen))
		}
		return nil
	})
}
