package acme

import (
	"context"
	cryptotls "crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"golang.org/x/crypto/ocsp"

	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// stored puts a certificate into a storage, as if it had been obtained from
// nobody that can be reached, whose OCSP responder says status.
func stored(t *testing.T, status *atomic.Int32, asked *atomic.Int32) (*Config, *x509.Certificate) {
	t.Helper()
	ca, other := tlstest.NewCA(t, "CA"), tlstest.NewCA(t, "other")
	template := tlstest.Template(t, name)
	template.DNSNames = []string{name}
	responder := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		body, _ := io.ReadAll(r.Body)
		question, err := ocsp.ParseRequest(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		signer := ca
		if status.Load() == forged {
			signer = other
		}
		answer, err := ocsp.CreateResponse(signer.Cert, signer.Cert, ocsp.Response{
			Status: int(status.Load()) % forged, SerialNumber: question.SerialNumber,
			ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour),
		}, signer.Key)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(answer)
	}))
	t.Cleanup(responder.Close)
	template.OCSPServer = []string{responder.URL}
	certPEM, keyPEM := ca.Issue(t, template)

	cfg := &Config{Directory: "https://127.0.0.1:1/dir", Storage: config.Path(t.TempDir())}
	a := newAccount(cfg, zap.NewNop(), newPending())
	defer func() { a.cancel(); a.end() }()
	for key, data := range map[string][]byte{
		certmagic.StorageKeys.SiteCert(a.issuerKey, name):       append(certPEM, ca.PEM()...),
		certmagic.StorageKeys.SitePrivateKey(a.issuerKey, name): keyPEM,
		certmagic.StorageKeys.SiteMeta(a.issuerKey, name):       []byte("{}"),
	} {
		if err := a.storage.Store(t.Context(), key, data); err != nil {
			t.Fatal(err)
		}
	}
	pair, err := cryptotls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return cfg, pair.Leaf
}

// forged is a good response that somebody else signed.
const forged = 100

// awaitVersion waits until what is served has changed so often.
func (g *gateway) awaitVersion(v uint64) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), 20*time.Second)
	defer cancel()
	for g.Version() < v {
		select {
		case <-ctx.Done():
			g.t.Fatalf("version %d, not %d", g.Version(), v)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestAGoodOCSPResponseIsStapledAndKept(t *testing.T) {
	var status, asked atomic.Int32
	cfg, leaf := stored(t, &status, &asked)
	g := newGateway(t)
	g.Commit(cfg, []string{name}, both)
	if !g.leaf(name).Equal(leaf) {
		t.Fatal("the stored certificate does not serve")
	}
	g.awaitVersion(2)
	cert, err := g.Certificate(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response, err := ocsp.ParseResponse(cert.OCSPStaple, nil); err != nil || response.Status != ocsp.Good {
		t.Errorf("staple %v, %v", response, err)
	}
	g.Close()

	next := newGateway(t)
	next.Commit(cfg, []string{name}, both)
	if cert, err := next.Certificate(name, nil); err != nil || len(cert.OCSPStaple) == 0 {
		t.Errorf("the stored staple does not serve at once: %v", err)
	}
	next.Close()
	if n := asked.Load(); n != 1 {
		t.Errorf("the responder was asked %d times", n)
	}
}

func TestARevokedCertificateIsReplaced(t *testing.T) {
	var status, asked atomic.Int32
	status.Store(ocsp.Revoked)
	cfg, _ := stored(t, &status, &asked)
	g := newGateway(t)
	g.Commit(cfg, []string{name}, both)
	g.await("failed " + name) // nobody is there who could
	if cert, err := g.Certificate(name, nil); err != nil || cert.OCSPStaple != nil {
		t.Errorf("certificate %v, %v; it serves on without a staple", cert, err)
	}
}

func TestAForgedOCSPResponseIsNotStapled(t *testing.T) {
	var status, asked atomic.Int32
	status.Store(forged)
	cfg, _ := stored(t, &status, &asked)
	a := newAccount(cfg, zap.NewNop(), newPending())
	defer func() { a.cancel(); a.end() }()
	h, err := a.load(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := a.fetchStaple(t.Context(), name, h.tls); err == nil {
		t.Errorf("a response of another CA is taken: %+v", s)
	}
}
