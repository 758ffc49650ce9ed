package acme

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	cryptotls "crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls/acme/acmetest"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// stored is storedBy an authority that cannot be reached.
func stored(t *testing.T, status *atomic.Int32, asked *atomic.Int32) (*Config, *x509.Certificate) {
	t.Helper()
	cfg := &Config{Directory: "https://127.0.0.1:1/dir", Storage: config.Path(t.TempDir())}
	return cfg, storedBy(t, cfg, status, asked)
}

// storedBy puts a certificate into a storage, as if it had been obtained from the
// authority of cfg, whose OCSP responder says status.
func storedBy(t *testing.T, cfg *Config, status *atomic.Int32, asked *atomic.Int32) *x509.Certificate {
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
	storePair(t, cfg, append(certPEM, ca.PEM()...), keyPEM)
	// Long ago, so that nothing is put off.
	then := time.Now().Add(-24 * time.Hour)
	if err := os.Chtimes(certificateFile(cfg, ".crt"), then, then); err != nil {
		t.Fatal(err)
	}
	pair, err := cryptotls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf
}

// forged is a good response that another key has signed.
const forged = 100

// awaitChanges waits until what is served has changed so often.
func (g *gateway) awaitChanges(v uint64) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), 20*time.Second)
	defer cancel()
	for g.Changes() < v {
		select {
		case <-ctx.Done():
			g.t.Fatalf("%d changes, not %d", g.Changes(), v)
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
	g.awaitChanges(2)
	cert, err := g.Certificate(name)
	if err != nil {
		t.Fatal(err)
	}
	if response, err := ocsp.ParseResponse(cert.OCSPStaple, nil); err != nil || response.Status != ocsp.Good {
		t.Errorf("staple %v, %v", response, err)
	}
	g.Close()

	next := newGateway(t)
	next.Commit(cfg, []string{name}, both)
	if cert, err := next.Certificate(name); err != nil || len(cert.OCSPStaple) == 0 {
		t.Errorf("the stored staple does not serve at once: %v", err)
	}
	next.Close()
	if n := asked.Load(); n != 1 {
		t.Errorf("the responder was asked %d times", n)
	}
}

func TestARevokedCertificateIsReplaced(t *testing.T) {
	t.Parallel()
	var status, asked atomic.Int32
	status.Store(ocsp.Revoked)
	p, g, cfg := withAuthority(t, acmetest.Options{})
	revoked := storedBy(t, cfg, &status, &asked)
	g.Commit(cfg, []string{name}, both)
	g.await("renewed " + name)
	leaf := g.leaf(name)
	if leaf.Equal(revoked) {
		t.Error("the revoked one still serves")
	}
	cert, err := g.Certificate(name)
	if err != nil {
		t.Fatal(err)
	}
	intermediates := x509.NewCertPool()
	for _, der := range cert.Certificate[1:] {
		ca, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		intermediates.AddCert(ca)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: p.Roots(), Intermediates: intermediates}); err != nil {
		t.Errorf("what serves now is not of the authority: %v", err)
	}
}

func TestARevokedCertificateThatNobodyReplacesServesOnWithoutAStaple(t *testing.T) {
	var status, asked atomic.Int32
	status.Store(ocsp.Revoked)
	cfg, _ := stored(t, &status, &asked)
	g := newGateway(t)
	g.Commit(cfg, []string{name}, both)
	g.await("failed " + name) // no authority is there that could
	if cert, err := g.Certificate(name); err != nil || cert.OCSPStaple != nil {
		t.Errorf("certificate %v, %v; it serves on without a staple", cert, err)
	}
}

func TestAForgedOCSPResponseIsNotStapled(t *testing.T) {
	var status, asked atomic.Int32
	status.Store(forged)
	cfg, _ := stored(t, &status, &asked)
	a := accountOf(t, cfg)
	h, err := a.load(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := a.fetchStaple(t.Context(), name, h.tls); err == nil {
		t.Errorf("a response of another CA is taken: %+v", s)
	}
}

func TestTheStapleOfAPredecessorIsRemoved(t *testing.T) {
	var status, asked atomic.Int32
	cfg, _ := stored(t, &status, &asked)
	g := newGateway(t)
	g.Commit(cfg, nil, both)
	k := loadedRenewer(g.Manager, g.account, name)
	defer k.cancel()
	if k.own == nil {
		t.Fatal("nothing is stored")
	}
	key := g.account.stapleKey(name, k.own.tls)
	if err := g.account.storage.Store(t.Context(), key, []byte("staple")); err != nil {
		t.Fatal(err)
	}
	k.adopt(k.own.stapled(staple{}))
	if !g.account.storage.Exists(t.Context(), key) {
		t.Error("another staple of the same certificate took it away")
	}
	certPEM, keyPEM := tlstest.NewCA(t, "CA").Server(t, name)
	next, err := parsePair(name, certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	k.adopt(&held{tls: next})
	if g.account.storage.Exists(t.Context(), key) {
		t.Error("it is still stored")
	}
}

// issuerForFuzzing has the same key in each process of the fuzzing engine: what
// it has signed for one verifies in the others.
func issuerForFuzzing(t testing.TB) *tlstest.CA {
	t.Helper()
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	template := tlstest.Template(t, "CA")
	template.IsCA, template.BasicConstraintsValid = true, true
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tlstest.CA{Cert: cert, Key: key}
}

func FuzzStaple(f *testing.F) {
	ca, other := issuerForFuzzing(f), tlstest.NewCA(f, "CA")
	certificate := func(issuer *tlstest.CA, change func(*x509.Certificate)) cryptotls.Certificate {
		template := tlstest.Template(f, name)
		change(template)
		certPEM, keyPEM := issuer.Issue(f, template)
		return tlstest.Certificate(f, certPEM, keyPEM)
	}
	cert := certificate(ca, func(c *x509.Certificate) { c.SerialNumber = big.NewInt(7) })
	cert.Certificate = append(cert.Certificate, ca.Cert.Raw)
	appointed := certificate(ca, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning} })
	someone := certificate(ca, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	stranger := certificate(other, func(c *x509.Certificate) { c.ExtKeyUsage = appointed.Leaf.ExtKeyUsage })
	itself := cryptotls.Certificate{Leaf: ca.Cert, PrivateKey: ca.Key}
	for _, by := range []cryptotls.Certificate{itself, appointed, someone, stranger} {
		for _, serial := range []int64{7, 8} {
			for _, status := range []int{ocsp.Good, ocsp.Revoked, ocsp.Unknown} {
				template := ocsp.Response{Status: status, SerialNumber: big.NewInt(serial), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour)}
				if by.Leaf != ca.Cert {
					template.Certificate = by.Leaf
				}
				der, err := ocsp.CreateResponse(ca.Cert, by.Leaf, template, by.PrivateKey.(crypto.Signer))
				if err != nil {
					f.Fatal(err)
				}
				_, err = parseStaple(der, &cert)
				if good := serial == 7 && (by.Leaf == ca.Cert || by.Leaf == appointed.Leaf); good != (err == nil) {
					f.Errorf("a response about %d by %s: %v", serial, by.Leaf.Issuer, err)
				}
				f.Add(der)
			}
		}
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		s, err := parseStaple(der, &cert)
		if err != nil {
			if s.der != nil || s.usable() || s.revoked() {
				t.Error("what was not verified is believed")
			}
			return
		}
		// Once more, without trust in who verified it.
		response, err := ocsp.ParseResponseForCert(der, cert.Leaf, nil)
		if err != nil {
			t.Fatal(err)
		}
		signer := ca.Cert
		if by := response.Certificate; by != nil && !by.Equal(ca.Cert) {
			if by.CheckSignatureFrom(ca.Cert) != nil || !slices.Contains(by.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) {
				t.Fatal("a responder speaks that was not appointed")
			}
			signer = by
		}
		if err := signer.CheckSignature(response.SignatureAlgorithm, response.TBSResponseData, response.Signature); err != nil {
			t.Errorf("not signed: %v", err)
		}
		if response.SerialNumber.Cmp(cert.Leaf.SerialNumber) != 0 {
			t.Error("about another certificate")
		}
		if s.usable() && (response.Status != ocsp.Good || !time.Now().Before(response.NextUpdate)) {
			t.Error("clients would refuse it")
		}
		h := &held{tls: &cert}
		if stapled := h.stapled(s).tls.OCSPStaple != nil; stapled != s.usable() {
			t.Errorf("stapled: %v, usable: %v", stapled, s.usable())
		}
	})
}
