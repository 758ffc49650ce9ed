package acme_test

import (
	"context"
	cryptotls "crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/certmagic"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/tls/acme/acmetest"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// unreachable is the directory of an authority that cannot be reached.
const unreachable = "https://127.0.0.1:1/dir"

// keepACME puts a certificate of that authority into the folder store.
func keepACME(t *testing.T, dir string, ca *tlstest.CA, name string) {
	t.Helper()
	issuer := (&certmagic.ACMEIssuer{CA: unreachable}).IssuerKey()
	cert, key := ca.Server(t, name)
	for path, data := range map[string][]byte{
		certmagic.StorageKeys.SiteCert(issuer, name):       append(cert, ca.PEM()...),
		certmagic.StorageKeys.SitePrivateKey(issuer, name): key,
		certmagic.StorageKeys.SiteMeta(issuer, name):       []byte("{}"),
	} {
		path = filepath.Join(dir, "store", path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Many names, so that what is to be done for each of them at a commit takes its
// time.
func TestNamesGoFromACMEToFilesAndBackWithoutAGap(t *testing.T) {
	t.Parallel()
	ca, dir := tlstest.NewCA(t, "CA"), harness.ShortDir(t)
	var names []string
	for i := range 50 {
		names = append(names, fmt.Sprintf("n%d.test", i))
		keepACME(t, dir, ca, names[i])
	}
	cert, key := ca.Server(t, names...)
	tlstest.WritePair(t, dir, "server", cert, key)
	config := func(certificates string) string {
		return fmt.Sprintf(`
acme: {directory: "%s", storage: store}
listeners:
  - {name: public, address: "127.0.0.1:0", tls: {certificates: [%s]}}
routes:
  - {match: {path: /}, respond: {body: "here"}}
`, unreachable, certificates)
	}
	byACME, byFiles := config("{acme: ["+strings.Join(names, ", ")+"]}"), config("{cert: server.crt, key: server.key}")
	g := harness.Start(t, dir, byACME)
	address := g.Address("public")
	var shaken atomic.Int64
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for i := range 4 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := handshake(address, names[len(names)-1-i], nil); err != nil {
					t.Errorf("after %d handshakes: %v", shaken.Load(), err)
					return
				}
				shaken.Add(1)
			}
		})
	}
	defer clients.Wait()
	defer close(stop)
	for range 10 {
		for _, next := range []string{byFiles, byACME} {
			g.MustApply(next)
			before := shaken.Load()
			g.Eventually("handshakes", func() error {
				switch {
				case t.Failed():
					return testkit.Fatal(fmt.Errorf("one failed"))
				case shaken.Load() < before+50:
					return fmt.Errorf("%d of them", shaken.Load()-before)
				}
				return nil
			})
		}
	}
}

// The pair stays behind the name that ACME is to take over, as the README says.
// The authority is away at first.
func TestACMETakesOverFromAFilePairWithoutAGap(t *testing.T) {
	t.Parallel()
	dir, ca := harness.ShortDir(t), tlstest.NewCA(t, "CA")
	cert, key := ca.Server(t, harness.ACMEName)
	tlstest.WritePair(t, dir, "server", cert, key)
	p := harness.NewACMEAuthority(t, dir, acmetest.Options{})
	p.Stop()
	config := func(certificates string) string {
		return fmt.Sprintf(`
acme: {directory: "%s", ca_cert: acme-ca.crt, storage: store}
listeners:
  - {name: public, address: "127.0.0.1:%d", tls: {certificates: [%s]}}
routes:
  - {match: {path: /}, respond: {body: "here"}}
`, p.Directory, p.TLSPort, certificates)
	}
	g := harness.Start(t, dir, config("{cert: server.crt, key: server.key}"))
	g.MustApply(config("{acme: [" + harness.ACMEName + "]}, {cert: server.crt, key: server.key}"))
	g.Eventually("an attempt to fail", func() error {
		if _, err := handshake(g.Address("public"), harness.ACMEName, ca.Pool()); err != nil {
			return testkit.Fatal(fmt.Errorf("meanwhile the pair does not serve: %w", err))
		}
		if c := certificates(g, "acme"); len(c) != 1 || !strings.Contains(c[0].Error, "connection refused") {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
	p.Restart()
	byACME := p.Roots()
	both := byACME.Clone()
	both.AddCert(ca.Cert)
	g.Eventually("the certificate of the authority", func() error {
		leaf, err := handshake(g.Address("public"), harness.ACMEName, both)
		if err != nil {
			return testkit.Fatal(fmt.Errorf("neither is shown: %w", err))
		}
		_, err = leaf.Verify(x509.VerifyOptions{Roots: ca.Pool()})
		if err == nil {
			return fmt.Errorf("the pair is still shown")
		}
		return nil
	})
	g.MustApply(config("{acme: [" + harness.ACMEName + "]}"))
	if _, err := handshake(g.Address("public"), harness.ACMEName, byACME); err != nil {
		t.Errorf("without the pair: %v", err)
	}
}

// Another server has the port that the authority calls, and passes connections on
// to a socket.
func TestAPlainListenerOnASocketAnswersChallenges(t *testing.T) {
	t.Parallel()
	dir := harness.ShortDir(t)
	p := harness.NewACMEAuthority(t, dir, acmetest.Options{})
	socket := filepath.Join(dir, "plain.sock")
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	before, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p.HTTPPort))
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httptest.Server{Listener: before, Config: &http.Server{Handler: &httputil.ReverseProxy{
		Transport: transport, Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "gateway" },
	}}}
	proxy.Start()
	t.Cleanup(proxy.Close)
	g := harness.Start(t, dir, fmt.Sprintf(`
acme: {directory: "%s", ca_cert: acme-ca.crt, storage: store, challenges: [http-01]}
listeners:
  - {name: plain, address: "unix:%s"}
  - {name: public, address: "127.0.0.1:0", tls: {certificates: [{acme: [%s]}]}}
routes:
  - {match: {path_prefix: /}, listeners: [all], respond: {body: "not a challenge"}}
`, p.Directory, socket, harness.ACMEName))
	g.Eventually("the certificate", func() error {
		_, err := handshake(g.Address("public"), harness.ACMEName, p.Roots())
		return err
	})
}

// A server that drains has accepted a connection, whose handshake has yet to
// begin when the names have gone from the file.
func TestAServerThatDrainsStillHasTheCertificatesOfItsNames(t *testing.T) {
	t.Parallel()
	ca, dir := tlstest.NewCA(t, "CA"), harness.ShortDir(t)
	keepACME(t, dir, ca, harness.ACMEName)
	cert, key := ca.Server(t, "other.test")
	tlstest.WritePair(t, dir, "server", cert, key)
	config := func(certificates, more string) string {
		return fmt.Sprintf(`
acme: {directory: "%s", storage: store}
listeners:
  - {name: public, address: "127.0.0.1:0", tls: {certificates: [%s]}%s}
routes:
  - {match: {path: /}, respond: {body: "here"}}
`, unreachable, certificates, more)
	}
	g := harness.Start(t, dir, config("{acme: ["+harness.ACMEName+"]}", ""))
	raw, err := net.Dial("tcp", g.Address("public"))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	g.Eventually("the connection to be accepted", func() error {
		if n := g.Status().Listeners[0].Connections; n != 1 {
			return fmt.Errorf("%d connections", n)
		}
		return nil
	})
	g.MustApply(config("{cert: server.crt, key: server.key}", ", limits: {max_connections: 9}"))
	g.MustApply(config("{cert: server.crt, key: server.key}", ", limits: {max_connections: 8}"))
	roots := ca.Pool()
	conn := cryptotls.Client(raw, &cryptotls.Config{ServerName: harness.ACMEName, RootCAs: roots})
	if err := conn.Handshake(); err != nil {
		t.Error(err)
	}
	if _, err := handshake(g.Address("public"), "other.test", roots); err != nil {
		t.Errorf("on the new server: %v", err)
	}
}
