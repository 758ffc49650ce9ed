package tls

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls/spiffe"
)

// Trust is the set of CAs whose signature is believed. It is immutable.
type Trust struct {
	pool *x509.CertPool
	cas  []*x509.Certificate
	// above are the CAs of the file that signed a CA of the file, by the SHA-256
	// of the latter.
	above map[[32]byte][]*x509.Certificate
	// lastNotAfter is when the last of the CAs expires.
	lastNotAfter time.Time
	// ignored counts the certificates of the file that are no CA.
	ignored int
	// delivered says that they are a Workload API's, not a file's.
	delivered bool
}

// TrustOf are the CAs of a PEM file. Certificates that are no CA are passed over:
// as roots they would be believed for themselves. A file without any CA is an
// error. See isTorn about its errors, and config.ParseOnce about who shares the
// result.
func TrustOf(ca config.File) (*Trust, error) {
	return config.ParseOnce(func() (*Trust, error) {
		certs, err := chainOf(ca)
		if err != nil {
			return nil, err
		}
		trust, err := newTrust(certs)
		if err != nil {
			return nil, err
		}
		trust.delivered = spiffe.Of(ca) != nil
		return trust, nil
	}, ca)
}

func newTrust(certs []*x509.Certificate) (*Trust, error) {
	trust := &Trust{pool: x509.NewCertPool()}
	for _, cert := range certs {
		if !isCA(cert) {
			trust.ignored++
			continue
		}
		trust.pool.AddCert(cert)
		trust.cas = append(trust.cas, cert)
		if cert.NotAfter.After(trust.lastNotAfter) {
			trust.lastNotAfter = cert.NotAfter
		}
	}
	if trust.ignored == len(certs) {
		return nil, fmt.Errorf("the file holds no CA: %q may not sign certificates", certs[0].Subject)
	}
	trust.link()
	return trust, nil
}

// link finds out which CAs of the file have signed which.
func (t *Trust) link() {
	t.above = make(map[[32]byte][]*x509.Certificate)
	for _, ca := range t.cas {
		if selfIssued(ca) {
			continue
		}
		for _, issuer := range t.cas {
			if bytes.Equal(issuer.RawSubject, ca.RawIssuer) && ca.CheckSignatureFrom(issuer) == nil {
				sum := sha256.Sum256(ca.Raw)
				t.above[sum] = append(t.above[sum], issuer)
			}
		}
	}
}

// completed leads each chain on to the top of the file. Intermediates stand in
// it where clients send no more than their own certificate, and to crypto/x509
// each is a root: what the CA above it has revoked would not count.
func (t *Trust) completed(chains [][]*x509.Certificate) (whole [][]*x509.Certificate) {
	for rest := chains; len(rest) > 0; {
		chain := rest[0]
		rest = rest[1:]
		ends := true
		for _, issuer := range t.above[sha256.Sum256(chain[len(chain)-1].Raw)] {
			if !slices.ContainsFunc(chain, issuer.Equal) {
				ends, rest = false, append(rest, append(slices.Clip(chain), issuer))
			}
		}
		if ends {
			whole = append(whole, chain)
		}
	}
	return whole
}

// CAs are the certificates that are believed, not to be modified.
func (t *Trust) CAs() []*x509.Certificate { return t.cas }

// isCA follows what chain verification accepts as a root: version 3 says so in
// its basic constraints (RFC 5280 section 4.2.1.9), earlier versions cannot.
func isCA(cert *x509.Certificate) bool {
	if cert.Version < 3 {
		return string(cert.RawSubject) == string(cert.RawIssuer)
	}
	return cert.BasicConstraintsValid && cert.IsCA
}

func (t *Trust) checkDates(now time.Time) error {
	if now.After(t.lastNotAfter) {
		return errors.New("every CA of the file has expired, the last on " + date(t.lastNotAfter))
	}
	return nil
}

func (t *Trust) equal(o *Trust) bool {
	if t == nil || o == nil {
		return t == o
	}
	return t.pool.Equal(o.pool)
}
