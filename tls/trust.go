package tls

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Trust is the set of CAs whose signature is believed. It is immutable.
type Trust struct {
	pool *x509.CertPool
	cas  []*x509.Certificate
	// lastNotAfter is when the last of the CAs expires.
	lastNotAfter time.Time
	// ignored counts the certificates of the file that are no CA.
	ignored int
}

// ParseTrust reads the CAs of a PEM file. Certificates that are no CA are
// passed over: as roots they would be believed for themselves. A file without
// any CA is an error. See Torn about its errors.
func ParseTrust(caPEM []byte) (*Trust, error) {
	certs, err := parseCertificates(caPEM)
	if err != nil {
		return nil, err
	}
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
	return trust, nil
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
