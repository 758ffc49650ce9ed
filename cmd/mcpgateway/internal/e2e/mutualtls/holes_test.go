package mutualtls_test

import (
	cryptotls "crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

func TestAHostOfAnotherPolicyIsMisdirected(t *testing.T) {
	t.Parallel()
	f := harness.NewFront(t)
	partner, _ := f.Identity("partner")
	for _, protocol := range harness.Transports {
		for _, c := range []struct {
			sni, host string
			cert      bool
			want      int
		}{
			{"localhost", "localhost", false, 200},
			{"localhost", "other.test", false, 200},
			{"localhost", "partners.test", false, 421},
			{"localhost", "PARTNERS.test.", false, 421},
			{"partners.test", "partners.test", true, 200},
			{"partners.test", "localhost", true, 421},
		} {
			client, _ := harness.ClientOf(t, protocol, f.CA.PEM(), func(cfg *cryptotls.Config) {
				cfg.ServerName = c.sni
				if c.cert {
					cfg.Certificates = []cryptotls.Certificate{partner}
				}
			})
			got, body, _, err := harness.Ask(client, f.URL("open", "/"), c.host)
			if err != nil || got != c.want {
				t.Errorf("%s: SNI %s, host %s: %d %s, %v; want %d", protocol, c.sni, c.host, got, body, err, c.want)
			}
		}
		stranger, _ := harness.ClientOf(t, protocol, f.CA.PEM(), func(cfg *cryptotls.Config) { cfg.ServerName = "partners.test" })
		if got, _, _, err := harness.Ask(stranger, f.URL("open", "/"), "partners.test"); err == nil {
			t.Errorf("%s: a stranger got %d from the partners' policy", protocol, got)
		}
	}
}

// A client whose connection drains, since its listener was redefined, is
// revoked: it does not have until drain.timeout.
func TestARevokedClientIsSentAwayFromADrainingListener(t *testing.T) {
	t.Parallel()
	ca, dir, api := tlstest.NewCA(t, "CA"), harness.ShortDir(t), &harness.PlainAPI{}
	cert, key := ca.Server(t, "localhost", "127.0.0.1")
	tlstest.WritePair(t, dir, "server", cert, key)
	harness.WriteFile(t, dir, "ca.crt", ca.PEM())
	soon := time.Now().Add(time.Hour)
	harness.WriteFile(t, dir, "ca.crl", ca.CRL(t, soon))
	upstream := httptest.NewServer(api)
	t.Cleanup(upstream.Close)
	config := func(streams int) string {
		return strings.Replace(strings.Replace(harness.EdgeHTTP3Config(upstream.URL, streams), "drain: {timeout: 30s", "drain: {timeout: 1h", 1),
			"key: server.key}]}", "key: server.key}], client_auth: {mode: require, ca_cert: ca.crt, crl: ca.crl}}", 1)
	}
	g := harness.Start(t, dir, config(100))
	var bad, stay []*harness.Opened
	badCert, badKey := ca.Client(t, "bad")
	goodCert, goodKey := ca.Client(t, "good")
	for _, protocol := range harness.Transports {
		for _, c := range []struct {
			cert []byte
			key  []byte
			to   *[]*harness.Opened
		}{{badCert, badKey, &bad}, {goodCert, goodKey, &stay}} {
			hc, _ := harness.ClientOf(t, protocol, ca.PEM(), harness.WithCertificate(tlstest.Certificate(t, c.cert, c.key)))
			*c.to = append(*c.to, harness.Open(t, api, "https://"+g.Address("public")+"/api", protocol, hc))
		}
	}
	g.MustApply(config(50))
	harness.WriteFile(t, dir, "ca.crl", ca.CRL(t, soon, badCert))
	g.MustReload()
	for _, o := range bad {
		o.ExpectEnd()
		// What is no stream has a little longer.
		if r := o.Wait(o.Posted); r.Err == nil || errors.Is(r.Err, harness.ErrNoAnswer) {
			t.Errorf("the revoked client's POST of %s: %q, %v", o.Name, r.Body, r.Err)
		}
		o.Leave()
	}
	for _, o := range stay {
		o.Finish()
	}
}

// peers is an upstream that demands certificates and notes who came.
type peers struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string // one line a request: whose, and whether TLS was resumed
}

func newPeers(t *testing.T, ca *tlstest.CA, h2, keep bool) *peers {
	t.Helper()
	p := &peers{}
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cs := r.TLS
		line := fmt.Sprintf("%s resumed=%v", cs.PeerCertificates[0].Subject.CommonName, cs.DidResume)
		p.mu.Lock()
		p.seen = append(p.seen, line)
		p.mu.Unlock()
		if !keep {
			w.Header().Set("Connection", "close")
		}
		fmt.Fprint(w, line)
	}))
	cert, key := ca.Server(t, "localhost")
	p.TLS = &cryptotls.Config{ClientAuth: cryptotls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(), Certificates: []cryptotls.Certificate{tlstest.Certificate(t, cert, key)}}
	p.EnableHTTP2 = h2
	p.StartTLS()
	t.Cleanup(p.Close)
	return p
}

const peersConfig = `
reload: {watch: false}
listeners: [{name: plain, address: "localhost:0"}]
routes:
  - {match: {path: /one}, cluster: one}
  - {match: {path: /two}, cluster: two}
clusters:
  - name: one
    endpoints: ["%[1]s"]
    tls: {ca_cert: ca.crt, client_cert: one.crt, client_key: one.key, server_name: localhost}
  - name: two
    endpoints: ["%[1]s"]
    tls: {ca_cert: ca.crt, client_cert: two.crt, client_key: two.key, server_name: localhost}
`

func TestAnUpstreamSessionIsNotResumedByAnotherIdentity(t *testing.T) {
	t.Parallel()
	for _, h2 := range []bool{false, true} {
		t.Run(map[bool]string{false: "http/1.1", true: "h2"}[h2], func(t *testing.T) {
			t.Parallel()
			ca, dir := tlstest.NewCA(t, "CA"), harness.ShortDir(t)
			harness.WriteFile(t, dir, "ca.crt", ca.PEM())
			for _, name := range []string{"one", "two"} {
				cert, key := ca.Client(t, name)
				tlstest.WritePair(t, dir, name, cert, key)
			}
			// Each request has a connection of its own, so that sessions are resumed.
			p := newPeers(t, ca, h2, false)
			g := harness.Start(t, dir, fmt.Sprintf(peersConfig, p.URL))
			get := func(path string) string {
				t.Helper()
				status, body, _, err := harness.Ask(http.DefaultClient, "http://"+g.Address("plain")+path, "")
				if err != nil || status != 200 {
					t.Fatalf("%s: %d %s %v", path, status, body, err)
				}
				return body
			}
			g.Eventually("a session to be resumed", func() error {
				if got := get("/one"); got != "one resumed=true" {
					return fmt.Errorf("%s", got)
				}
				return nil
			})
			// A second cluster's identity on the same address.
			if got := get("/two"); got != "two resumed=false" {
				t.Errorf("the second cluster's first request came as %s", got)
			}
			cert, key := ca.Client(t, "one anew")
			tlstest.WritePair(t, dir, "one", cert, key)
			g.MustReload()
			if got := get("/one"); got != "one anew resumed=false" {
				t.Errorf("after the rotation the first request came as %s", got)
			}
			for range 20 {
				if got := get("/one"); !strings.HasPrefix(got, "one anew ") {
					t.Fatalf("after the rotation a request came as %s", got)
				}
				if got := get("/two"); !strings.HasPrefix(got, "two ") {
					t.Fatalf("a request of the second cluster came as %s", got)
				}
			}
		})
	}
}

// The clusters share an address, and neither connections nor names.
func TestClustersOnOneAddressKeepTheirOwnIdentity(t *testing.T) {
	t.Parallel()
	for _, h2 := range []bool{false, true} {
		ca, dir := tlstest.NewCA(t, "CA"), harness.ShortDir(t)
		harness.WriteFile(t, dir, "ca.crt", ca.PEM())
		for _, name := range []string{"one", "two"} {
			cert, key := ca.Client(t, name)
			tlstest.WritePair(t, dir, name, cert, key)
		}
		g := harness.Start(t, dir, fmt.Sprintf(peersConfig, newPeers(t, ca, h2, true).URL))
		var all sync.WaitGroup
		for range 4 {
			for _, name := range []string{"one", "two"} {
				all.Go(func() {
					for range 50 {
						status, body, _, err := harness.Ask(http.DefaultClient, "http://"+g.Address("plain")+"/"+name, "")
						if err != nil || status != 200 || !strings.HasPrefix(body, name+" ") {
							t.Errorf("cluster %s: %d %s %v", name, status, body, err)
							return
						}
					}
				})
			}
		}
		all.Wait()
	}
}
