package spiffe_test

import (
	cryptotls "crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/tls/spiffe/spiffetest"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// An agent rotates the identity and the CA of the gateway, on a listener and
// towards a cluster. No file is edited, and no signal sent.
func TestAWorkloadAPIRotatesWithoutCostingAConnection(t *testing.T) {
	t.Parallel()
	agent, api, dir := spiffetest.Start(t), &harness.PlainAPI{}, harness.ShortDir(t)
	old, fresh := tlstest.NewCA(t, "old"), tlstest.NewCA(t, "new")
	svid := func(ca *tlstest.CA, path string) (cert, key []byte) {
		return ca.Issue(t, spiffetest.Template(t, tlstest.Template(t, ""), "spiffe://example.org"+path))
	}
	deliver := func(ca *tlstest.CA, bundle []byte) {
		cert, key := svid(ca, "/gateway")
		agent.SetSVID("spiffe://example.org/gateway", cert, key, bundle)
	}
	deliver(old, old.PEM())
	upstream := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/who") {
			fmt.Fprintf(w, "%s of %s", r.TLS.PeerCertificates[0].URIs[0], r.TLS.PeerCertificates[0].Issuer.CommonName)
			return
		}
		api.ServeHTTP(w, r)
	}))
	cert, key := svid(old, "/upstream")
	upstream.TLS = &cryptotls.Config{ClientAuth: cryptotls.RequireAnyClientCert, Certificates: []cryptotls.Certificate{tlstest.Certificate(t, cert, key)}}
	upstream.StartTLS()
	t.Cleanup(upstream.Close)
	g := harness.Start(t, dir, fmt.Sprintf(`
listeners:
  - name: mesh
    address: 127.0.0.1:0
    protocols: [http/1.1, h2, h3]
    tls:
      spiffe: {socket: "%s"}
      client_auth: {mode: require, allowed_names: ["spiffe://example.org/client"]}
routes:
  - {match: {path_prefix: /api}, cluster: api, timeout: 0s}
clusters:
  - name: api
    endpoints: ["%s"]
    tls: {spiffe: {socket: "%[1]s"}, verify_names: ["spiffe://example.org/upstream"]}
`, agent.Socket, upstream.URL))
	base := "https://" + g.Address("mesh") + "/api"
	as := func(ca *tlstest.CA) func(*cryptotls.Config) {
		cert, key := svid(ca, "/client")
		me := tlstest.Certificate(t, cert, key)
		return func(cfg *cryptotls.Config) {
			cfg.Certificates, cfg.InsecureSkipVerify = []cryptotls.Certificate{me}, true
		}
	}
	who := func(protocol string, ca *tlstest.CA) (string, string, error) {
		c, _ := harness.ClientOf(t, protocol, ca.PEM(), as(ca))
		defer c.CloseIdleConnections()
		_, body, state, err := harness.Ask(c, base+"/who", "")
		if err != nil {
			return "", "", err
		}
		return body, state.PeerCertificates[0].Issuer.CommonName, nil
	}
	var streams []*harness.Opened
	for _, protocol := range harness.Transports {
		if upstreamSaw, shown, err := who(protocol, old); err != nil || upstreamSaw != "spiffe://example.org/gateway of old" || shown != "old" {
			t.Fatalf("over %s: %q, %q, %v", protocol, upstreamSaw, shown, err)
		}
		c, _ := harness.ClientOf(t, protocol, old.PEM(), as(old))
		streams = append(streams, harness.Open(t, api, base, protocol, c))
	}
	// The new CA joins the bundle, and signs the next SVID.
	deliver(fresh, append(old.PEM(), fresh.PEM()...))
	for _, protocol := range harness.Transports {
		g.Eventually("the new SVID over "+protocol, func() error {
			if upstreamSaw, shown, err := who(protocol, fresh); err != nil || upstreamSaw != "spiffe://example.org/gateway of new" || shown != "new" {
				return fmt.Errorf("%q, %q, %w", upstreamSaw, shown, err)
			}
			return nil
		})
	}
	// The agent is gone: what it delivered stays, also over a reload.
	agent.Stop()
	if o := g.Reload(); o.Result == "rejected" {
		t.Errorf("reload without the agent: %v", o.Errors)
	}
	for _, s := range streams {
		s.Finish()
	}
	if strings.Contains(g.Logs.String(), "PRIVATE KEY") {
		t.Error("a key is in the log")
	}
	// A stranger of the right CA and the wrong name.
	cert, key = svid(fresh, "/other")
	c, _ := harness.ClientOf(t, "http/1.1", fresh.PEM(), func(cfg *cryptotls.Config) {
		cfg.Certificates, cfg.InsecureSkipVerify = []cryptotls.Certificate{tlstest.Certificate(t, cert, key)}, true
	})
	if _, body, _, err := harness.Ask(c, base+"/who", ""); err == nil {
		t.Errorf("a workload that is not allowed got %s", body)
	}
}
