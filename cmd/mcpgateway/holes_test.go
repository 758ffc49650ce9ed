package main_test

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

	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// front is a gateway whose listener `open` lets everybody in, but for the name
// partners.test, and asks those who come to guests.test who they are; its
// listener `strict` lets no client in without a certificate. Its upstream tells what
// it was sent.
type front struct {
	*gateway
	ca, clients *tlstest.CA
	config      string
}

const frontConfig = `
reload: {watch: false}
drain: {timeout: 2s, close_spread: 10ms}
listeners:
  - name: open
    address: localhost:0
    protocols: [http/1.1, h2, h3]
    tls:
      certificates: [{cert: server.crt, key: server.key}]
      policies:
        - hosts: [partners.test]
          client_auth: {mode: require, ca_cert: clients.crt, crl: clients.crl, forward: true}
        - hosts: [guests.test]
          client_auth: {mode: request, ca_cert: clients.crt}
  - name: strict
    address: localhost:0
    protocols: [http/1.1, h2, h3]
    tls:
      certificates: [{cert: server.crt, key: server.key}]
      client_auth: {mode: require, ca_cert: clients.crt, crl: clients.crl}
routes:
  - match: {path: /who}
    listeners: [all]
    cluster: upstream
  - match: {path_prefix: /}
    listeners: [all]
    respond: {body: "here"}
clusters:
  - name: upstream
    endpoints: ["%s"]
`

func newFront(t *testing.T) *front {
	t.Helper()
	f := &front{ca: tlstest.NewCA(t, "CA"), clients: tlstest.NewCA(t, "clients")}
	dir := shortDir(t)
	cert, key := f.ca.Server(t, "localhost", "partners.test", "guests.test")
	tlstest.WritePair(t, dir, "server", cert, key)
	writeFile(t, dir, "clients.crt", f.clients.PEM())
	writeFile(t, dir, "clients.crl", f.clients.CRL(t, time.Now().Add(time.Hour)))
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, strings.Join(r.Header["X-Forwarded-Client-Cert"], " AND "))
	}))
	t.Cleanup(upstream.Close)
	f.config = fmt.Sprintf(frontConfig, upstream.URL)
	f.gateway = start(t, dir, f.config)
	return f
}

func (f *front) url(listener, path string) string {
	return "https://" + hostPort(f.port(listener)) + path
}

func (f *front) identity(cn string, sans ...string) (cryptotls.Certificate, []byte) {
	cert, key := f.clients.Client(f.t, cn, sans...)
	return tlstest.Certificate(f.t, cert, key), cert
}

func TestAHostOfAnotherPolicyIsMisdirected(t *testing.T) {
	t.Parallel()
	f := newFront(t)
	partner, _ := f.identity("partner")
	for _, protocol := range transports {
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
			client, _ := clientOf(t, protocol, f.ca.PEM(), func(cfg *cryptotls.Config) {
				cfg.ServerName = c.sni
				if c.cert {
					cfg.Certificates = []cryptotls.Certificate{partner}
				}
			})
			got, body, _, err := ask(client, f.url("open", "/"), c.host)
			if err != nil || got != c.want {
				t.Errorf("%s: SNI %s, host %s: %d %s, %v; want %d", protocol, c.sni, c.host, got, body, err, c.want)
			}
		}
		stranger, _ := clientOf(t, protocol, f.ca.PEM(), func(cfg *cryptotls.Config) { cfg.ServerName = "partners.test" })
		if got, _, _, err := ask(stranger, f.url("open", "/"), "partners.test"); err == nil {
			t.Errorf("%s: a stranger got %d from the partners' policy", protocol, got)
		}
	}
}

// A client whose connection drains, since its listener was redefined, is
// revoked: it does not have until drain.timeout.
func TestARevokedClientIsSentAwayFromADrainingListener(t *testing.T) {
	t.Parallel()
	ca, dir, api := tlstest.NewCA(t, "CA"), shortDir(t), &plainAPI{}
	cert, key := ca.Server(t, "localhost", "127.0.0.1")
	tlstest.WritePair(t, dir, "server", cert, key)
	writeFile(t, dir, "ca.crt", ca.PEM())
	soon := time.Now().Add(time.Hour)
	writeFile(t, dir, "ca.crl", ca.CRL(t, soon))
	upstream := httptest.NewServer(api)
	t.Cleanup(upstream.Close)
	config := func(streams int) string {
		return strings.Replace(strings.Replace(edgeHTTP3Config(upstream.URL, streams), "drain: {timeout: 30s", "drain: {timeout: 1h", 1),
			"key: server.key}]}", "key: server.key}], client_auth: {mode: require, ca_cert: ca.crt, crl: ca.crl}}", 1)
	}
	g := start(t, dir, config(100))
	var bad, stay []*opened
	badCert, badKey := ca.Client(t, "bad")
	goodCert, goodKey := ca.Client(t, "good")
	for _, protocol := range transports {
		for _, c := range []struct {
			cert []byte
			key  []byte
			to   *[]*opened
		}{{badCert, badKey, &bad}, {goodCert, goodKey, &stay}} {
			hc, _ := clientOf(t, protocol, ca.PEM(), with(tlstest.Certificate(t, c.cert, c.key)))
			*c.to = append(*c.to, open(t, api, "https://"+g.address("public")+"/api", protocol, hc))
		}
	}
	g.mustApply(config(50))
	writeFile(t, dir, "ca.crl", ca.CRL(t, soon, badCert))
	g.mustReload()
	for _, o := range bad {
		o.ends()
		// What is no stream has a little longer.
		if r := o.wait(o.posted); r.err == nil || errors.Is(r.err, errNoAnswer) {
			t.Errorf("the revoked client's POST of %s: %q, %v", o.name, r.body, r.err)
		}
		o.leave()
	}
	for _, o := range stay {
		o.finish()
	}
}

func (g *gateway) mustReload() {
	g.t.Helper()
	if o := g.reload(); o.Result != "applied" {
		g.t.Fatalf("reload: %s %v", o.Result, o.Errors)
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
			ca, dir := tlstest.NewCA(t, "CA"), shortDir(t)
			writeFile(t, dir, "ca.crt", ca.PEM())
			for _, name := range []string{"one", "two"} {
				cert, key := ca.Client(t, name)
				tlstest.WritePair(t, dir, name, cert, key)
			}
			// Each request has a connection of its own, so that sessions are resumed.
			p := newPeers(t, ca, h2, false)
			g := start(t, dir, fmt.Sprintf(peersConfig, p.URL))
			get := func(path string) string {
				t.Helper()
				status, body, _, err := ask(http.DefaultClient, "http://"+g.address("plain")+path, "")
				if err != nil || status != 200 {
					t.Fatalf("%s: %d %s %v", path, status, body, err)
				}
				return body
			}
			g.eventually("a session to be resumed", func() error {
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
			g.mustReload()
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
		ca, dir := tlstest.NewCA(t, "CA"), shortDir(t)
		writeFile(t, dir, "ca.crt", ca.PEM())
		for _, name := range []string{"one", "two"} {
			cert, key := ca.Client(t, name)
			tlstest.WritePair(t, dir, name, cert, key)
		}
		g := start(t, dir, fmt.Sprintf(peersConfig, newPeers(t, ca, h2, true).URL))
		var all sync.WaitGroup
		for range 4 {
			for _, name := range []string{"one", "two"} {
				all.Go(func() {
					for range 50 {
						status, body, _, err := ask(http.DefaultClient, "http://"+g.address("plain")+"/"+name, "")
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
