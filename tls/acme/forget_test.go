package acme

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"sync"
	"testing"

	"github.com/mholt/acmez/v3/acme"

	"github.com/mcpgateway/mcpgateway/tls/acme/acmetest"
)

// An authority that was set up anew refuses the order of one gateway. Before it
// looks into that, another has registered a new account, which must stay.
func TestAnAccountThatAnotherGatewayReplacedIsKept(t *testing.T) {
	t.Parallel()
	p, g, cfg := withAuthority(t, acmetest.Options{})
	slow, fast := accountFor(t, g, cfg), accountFor(t, g, cfg)
	csr := requestFor(t, name)
	if _, err := slow.Issue(t.Context(), csr); err != nil {
		t.Fatal(err)
	}
	lost := registrationOf(t, slow)
	p.Restart()
	var replaced acme.Account
	slow.http.Transport = &afterRefusal{RoundTripper: slow.http.Transport, do: func() {
		if _, err := fast.Issue(t.Context(), csr); err != nil {
			t.Error(err)
		}
		replaced = registrationOf(t, fast)
	}}
	if _, err := slow.Issue(t.Context(), csr); err != nil {
		t.Fatal(err)
	}
	if now := registrationOf(t, slow); sameKey(replaced, lost) || !sameKey(now, replaced) {
		t.Error("the account that the other gateway registered is gone")
	}
}

func TestAnAuthorityThatWasSetUpAnewIsNotAskedToReplaceWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	p, g, cfg := withAuthority(t, acmetest.Options{})
	a, csr := accountFor(t, g, cfg), requestFor(t, name)
	issued, err := a.Issue(t.Context(), csr)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(issued.Certificate)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	p.Restart()
	ctx := context.WithValue(t.Context(), attemptKey{}, &attempt{replaces: leaf})
	if _, err := a.Issue(ctx, csr); err != nil {
		t.Error(err)
	}
}

func registrationOf(t *testing.T, a *account) acme.Account {
	t.Helper()
	registered, err := a.loadRegistration(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return registered
}

func requestFor(t *testing.T, name string) *x509.CertificateRequest {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{name}}, key)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

// afterRefusal does something once, between a refusal and its receipt.
type afterRefusal struct {
	http.RoundTripper
	once sync.Once
	do   func()
}

func (r *afterRefusal) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.RoundTripper.RoundTrip(req)
	if err == nil && resp.StatusCode >= 400 {
		r.once.Do(r.do)
	}
	return resp, err
}
