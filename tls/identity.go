package tls

import (
	"crypto"
	cryptotls "crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Identity is a certificate with its private key. It is immutable.
type Identity struct {
	// Certificate is the chain and the key as crypto/tls wants them.
	Certificate cryptotls.Certificate
	// Leaf is the first certificate of the chain.
	Leaf *x509.Certificate
}

// ParseIdentity reads a PEM certificate, which intermediates may follow, and
// its PEM key. It says nothing about dates. See Torn about its errors.
func ParseIdentity(certPEM, keyPEM []byte) (*Identity, error) {
	chain, err := parseCertificates(certPEM)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	key, err := parseKey(keyPEM)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	return newIdentity(chain, key)
}

func newIdentity(chain []*x509.Certificate, key crypto.Signer) (*Identity, error) {
	if !belongs(key, chain[0]) {
		for _, cert := range chain[1:] {
			if belongs(key, cert) {
				return nil, errors.New("the key belongs to a later certificate of the file; its own must come first, intermediates after it")
			}
		}
		return nil, torn("the key does not belong to the certificate")
	}
	id := &Identity{Leaf: chain[0]}
	id.Certificate.PrivateKey = key
	id.Certificate.Leaf = chain[0]
	for _, cert := range chain {
		id.Certificate.Certificate = append(id.Certificate.Certificate, cert.Raw)
	}
	return id, nil
}

func belongs(key crypto.Signer, cert *x509.Certificate) bool {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(cert.PublicKey)
}

// NotAfter is when the certificate expires.
func (i *Identity) NotAfter() time.Time { return i.Leaf.NotAfter }

// checkDates refuses a certificate that no peer would accept at that time.
func (i *Identity) checkDates(now time.Time) error {
	switch {
	case now.After(i.Leaf.NotAfter):
		return fmt.Errorf("the certificate expired on %s", date(i.Leaf.NotAfter))
	case now.Before(i.Leaf.NotBefore):
		return fmt.Errorf("the certificate is not valid before %s", date(i.Leaf.NotBefore))
	}
	return nil
}

func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }
