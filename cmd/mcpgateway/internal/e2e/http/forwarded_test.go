package http_test

import (
	cryptotls "crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

func TestTheVerifiedIdentityGoesUpstreamAndNoOther(t *testing.T) {
	t.Parallel()
	f := harness.NewFront(t)
	partner, _ := f.Identity("partner", "spiffe://td/partner")
	const forged = "Hash=00;Subject=\"CN=admin\""
	for _, protocol := range harness.Transports {
		client, _ := harness.ClientOf(t, protocol, f.CA.PEM(), func(cfg *cryptotls.Config) {
			cfg.ServerName, cfg.Certificates = "partners.test", []cryptotls.Certificate{partner}
		})
		_, got, _, err := harness.Ask(client, f.URL("open", "/who"), "partners.test", "X-Forwarded-Client-Cert", forged)
		if err != nil || !strings.HasPrefix(got, "Hash=") || strings.Contains(got, "admin") || !strings.HasSuffix(got, `;Subject="CN=partner";URI=spiffe://td/partner`) {
			t.Errorf("%s: the upstream was told %q, %v", protocol, got, err)
		}
		stranger, _ := harness.ClientOf(t, protocol, f.CA.PEM(), nil)
		if _, got, _, err := harness.Ask(stranger, f.URL("open", "/who"), "localhost", "X-Forwarded-Client-Cert", forged); err != nil || got != "" {
			t.Errorf("%s: of a stranger the upstream was told %q, %v", protocol, got, err)
		}
	}
	// And who it was stands in the access log.
	f.Eventually("the log", func() error {
		peers := map[any]int{}
		for _, l := range f.LogLines() {
			if l["path"] == "/who" {
				peers[l["peer"]]++
			}
		}
		if peers["spiffe://td/partner"] != len(harness.Transports) || peers[nil] != len(harness.Transports) {
			return fmt.Errorf("requests by peer: %v", peers)
		}
		return nil
	})
}

// Load balancers append to X-Forwarded-For, and pass on what they do not know.
func TestATrustedProxyPassesNoForgedIdentityOn(t *testing.T) {
	t.Parallel()
	ca, dir := tlstest.NewCA(t, "CA"), harness.ShortDir(t)
	cert, key := ca.Server(t, "127.0.0.1")
	tlstest.WritePair(t, dir, "server", cert, key)
	harness.WriteFile(t, dir, "ca.crt", ca.PEM())
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s for %s", r.Header["X-Forwarded-Client-Cert"], r.Header["X-Forwarded-For"])
	}))
	t.Cleanup(upstream.Close)
	g := harness.Start(t, dir, fmt.Sprintf(`
listeners:
  - name: public
    address: 127.0.0.1:0
    trusted_proxies: [127.0.0.0/8]
    tls: {certificates: [{cert: server.crt, key: server.key}], client_auth: {mode: request, ca_cert: ca.crt, forward: true}}
routes:
  - {match: {path_prefix: /}, cluster: upstream}
clusters:
  - {name: upstream, endpoints: ["%s"]}
`, upstream.URL))
	_, got, _, err := harness.Ask(harness.Client(t, ca.PEM(), "h2"), "https://"+g.Address("public")+"/", "", "X-Forwarded-Client-Cert", `Subject="CN=admin"`, "X-Forwarded-For", "192.0.2.1")
	if err != nil || got != "[] for [192.0.2.1, 127.0.0.1]" {
		t.Errorf("the upstream was told %s, %v", got, err)
	}
}

// So it does with every request that a session sends to a server.
func TestTheVerifiedIdentityGoesToMCPServersAndNoOther(t *testing.T) {
	t.Parallel()
	ca, dir := tlstest.NewCA(t, "CA"), harness.ShortDir(t)
	cert, key := ca.Server(t, "localhost", "127.0.0.1")
	tlstest.WritePair(t, dir, "server", cert, key)
	harness.WriteFile(t, dir, "ca.crt", ca.PEM())
	var mu sync.Mutex
	told := map[string][]string{} // by the path of the request
	serve := harness.Streamable(harness.NewTools("one"))
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		told[r.URL.Path] = append(told[r.URL.Path], strings.Join(r.Header["X-Forwarded-Client-Cert"], " AND "))
		mu.Unlock()
		r.URL.Path = "/mcp"
		serve.ServeHTTP(w, r)
	}))
	t.Cleanup(upstream.Close)
	g := harness.Start(t, dir, fmt.Sprintf(`
listeners:
  - name: public
    address: 127.0.0.1:0
    tls: {certificates: [{cert: server.crt, key: server.key}], client_auth: {mode: request, ca_cert: ca.crt, forward: true}}
routes:
  - {match: {path: /stranger}, mcp: {clusters: [stranger], forward_headers: [X-Forwarded-Client-Cert]}}
  - {match: {path: /someone}, mcp: {clusters: [someone], forward_headers: [X-Forwarded-Client-Cert]}}
clusters:
  - {name: stranger, endpoints: ["%[1]s/stranger"], health_check: {kind: tcp}}
  - {name: someone, endpoints: ["%[1]s/someone"], health_check: {kind: tcp}}
`, upstream.URL))
	cert, key = ca.Client(t, "someone", "spiffe://td/someone")
	for path, hc := range map[string]*http.Client{
		"/stranger": harness.Client(t, ca.PEM(), "h2"),
		"/someone":  harness.Client(t, ca.PEM(), "h2", tlstest.Certificate(t, cert, key)),
	} {
		hc.Transport = forging{hc.Transport}
		c := harness.CallOver(t, "echo", &mcp.StreamableClientTransport{Endpoint: "https://" + g.Address("public") + path, HTTPClient: hc})
		c.More(t, 3)
		c.Stop(t)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(told["/stranger"]) < 4 || len(told["/someone"]) < 4 {
		t.Errorf("the servers were told %v", told)
	}
	for _, header := range told["/stranger"] {
		if header != "" {
			t.Errorf("of a stranger a server was told %q", header)
		}
	}
	for _, header := range told["/someone"] {
		if !strings.HasSuffix(header, `;Subject="CN=someone";URI=spiffe://td/someone`) || !strings.HasPrefix(header, "Hash=") {
			t.Errorf("a server was told %q", header)
		}
	}
}

// forging claims to be another client.
type forging struct{ http.RoundTripper }

func (f forging) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Forwarded-Client-Cert", `Hash=00;Subject="CN=admin"`)
	return f.RoundTripper.RoundTrip(r)
}
