package acme

import (
	"bytes"
	"context"
	"crypto/sha256"
	cryptotls "crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"time"

	"github.com/caddyserver/certmagic"
	"golang.org/x/crypto/ocsp"
)

const (
	ocspTimeout = 15 * time.Second
	maxOCSP     = 64 << 10
)

// staple is an OCSP response about a certificate; the zero value is none.
type staple struct {
	der                    []byte
	status                 int
	thisUpdate, nextUpdate time.Time
}

func (s staple) revoked() bool { return s.der != nil && s.status == ocsp.Revoked }

// usable reports whether clients take it.
func (s staple) usable() bool {
	return s.der != nil && s.status == ocsp.Good && time.Now().Before(s.nextUpdate)
}

// fresh reports whether asking again can wait: until half its time is over.
func (s staple) fresh() bool {
	return s.usable() && time.Now().Before(s.thisUpdate.Add(s.nextUpdate.Sub(s.thisUpdate)/2))
}

// stapled is the certificate with another response.
func (h *held) stapled(s staple) *held {
	cert := *h.tls
	cert.OCSPStaple = nil
	if s.usable() {
		cert.OCSPStaple = s.der
	}
	next := *h
	next.tls, next.staple = &cert, s
	return &next
}

// hasResponder reports whether a responder can be asked about the certificate.
// Authorities leave the responder out more and more, and most of all for
// certificates that live for days.
func (h *held) hasResponder() bool {
	return len(h.leaf().OCSPServer) > 0 && len(h.tls.Certificate) > 1
}

func (s *store) stapleKey(name string, cert *cryptotls.Certificate) string {
	sum := sha256.Sum256(cert.Leaf.Raw)
	return path.Join("ocsp", certmagic.StorageKeys.Safe(name)+"-"+hex.EncodeToString(sum[:8]))
}

// issuerOf is the certificate that signed the first of the chain.
func issuerOf(cert *cryptotls.Certificate) (*x509.Certificate, error) {
	if len(cert.Certificate) < 2 {
		return nil, errors.New("the certificate comes without its issuer")
	}
	return x509.ParseCertificate(cert.Certificate[1])
}

// parseStaple verifies a response: that the certificate's issuer, or a
// responder that it appointed, said it about this certificate.
func parseStaple(der []byte, cert *cryptotls.Certificate) (staple, error) {
	issuer, err := issuerOf(cert)
	if err != nil {
		return staple{}, err
	}
	response, err := ocsp.ParseResponseForCert(der, cert.Leaf, issuer)
	if err != nil {
		return staple{}, err
	}
	// RFC 6960, 4.2.2.2: any other certificate of the issuer must not do.
	if by := response.Certificate; by != nil && !by.Equal(issuer) && !slices.Contains(by.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) {
		return staple{}, errors.New("the responder's certificate is not for signing OCSP responses")
	}
	return staple{der: der, status: response.Status, thisUpdate: response.ThisUpdate, nextUpdate: response.NextUpdate}, nil
}

// fetchStaple asks the responder, and stores a good response for the next start
// and for other gateways.
func (a *account) fetchStaple(ctx context.Context, name string, cert *cryptotls.Certificate) (staple, error) {
	ctx, cancel := context.WithTimeout(ctx, ocspTimeout)
	defer cancel()
	issuer, err := issuerOf(cert)
	if err != nil {
		return staple{}, err
	}
	question, err := ocsp.CreateRequest(cert.Leaf, issuer, nil)
	if err != nil {
		return staple{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, cert.Leaf.OCSPServer[0], bytes.NewReader(question))
	if err != nil {
		return staple{}, err
	}
	req.Header.Set("Content-Type", "application/ocsp-request")
	resp, err := a.http.Do(req)
	if err != nil {
		return staple{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return staple{}, fmt.Errorf("the OCSP responder answers %s", resp.Status)
	}
	der, err := io.ReadAll(io.LimitReader(resp.Body, maxOCSP))
	if err != nil {
		return staple{}, err
	}
	s, err := parseStaple(der, cert)
	if err == nil && s.usable() {
		// A failure costs a request after the next start.
		_ = a.storage.Store(ctx, a.stapleKey(name, cert), der)
	}
	return s, err
}
