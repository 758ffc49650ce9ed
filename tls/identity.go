package tls

import (
	"bytes"
	"crypto"
	cryptotls "crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls/spiffe"
)

// Identity is a certificate with its private key. It is immutable.
type Identity struct {
	// Certificate is the chain and the key as crypto/tls wants them.
	Certificate cryptotls.Certificate
	// Leaf is the first certificate of the chain.
	Leaf *x509.Certificate

	notAfter time.Time
	// reordered says that the file had another order than peers need.
	reordered bool
	// delivered says that it is a Workload API's, not a file's.
	delivered bool
}

// identityOf is the identity of a PEM certificate with its intermediates, in any
// order, and the PEM key of one of them. It says nothing about dates. The
// passphrase is for an encrypted key. See isTorn about its errors, and
// config.ParseOnce about who shares the result.
func identityOf(cert config.File, key, passphrase config.Secret) (*Identity, error) {
	return config.ParseOnce(func() (*Identity, error) {
		chain, err := chainOf(cert)
		if err != nil {
			return nil, fmt.Errorf("certificate: %w", err)
		}
		signer, err := keyOf(key, passphrase)
		if err != nil {
			return nil, fmt.Errorf("key: %w", err)
		}
		id, err := newIdentity(chain, signer)
		if err != nil {
			return nil, err
		}
		id.delivered = spiffe.Of(cert) != nil
		return id, nil
	}, cert, key.File, passphrase.File)
}

func newIdentity(file []*x509.Certificate, key crypto.Signer) (*Identity, error) {
	first := slices.IndexFunc(file, func(cert *x509.Certificate) bool { return belongs(key, cert) })
	if first < 0 {
		return nil, torn("the key does not belong to the certificate")
	}
	chain, linked := inOrder(file, first)
	id := &Identity{Leaf: chain[0], reordered: !slices.Equal(chain, file)}
	id.Certificate.PrivateKey = key
	id.Certificate.Leaf = chain[0]
	id.notAfter = chain[0].NotAfter
	for i, cert := range chain {
		id.Certificate.Certificate = append(id.Certificate.Certificate, cert.Raw)
		// A root that was sent along is not what peers go by.
		if i < linked && !selfIssued(cert) && cert.NotAfter.Before(id.notAfter) {
			id.notAfter = cert.NotAfter
		}
	}
	return id, nil
}

// inOrder puts each certificate before the one that signed it, beginning with
// the first, as TLS 1.2 demands (RFC 5246 section 7.4.2). How many are linked
// in this way is the second result; the others keep their order.
func inOrder(file []*x509.Certificate, first int) (chain []*x509.Certificate, linked int) {
	rest := slices.Clone(file)
	for i := first; i >= 0; {
		cert := rest[i]
		chain, rest = append(chain, cert), slices.Delete(rest, i, i+1)
		if i = -1; !selfIssued(cert) {
			i = slices.IndexFunc(rest, func(c *x509.Certificate) bool {
				return bytes.Equal(c.RawSubject, cert.RawIssuer) && cert.CheckSignatureFrom(c) == nil
			})
		}
	}
	return append(chain, rest...), len(chain)
}

func selfIssued(cert *x509.Certificate) bool { return bytes.Equal(cert.RawSubject, cert.RawIssuer) }

func belongs(key crypto.Signer, cert *x509.Certificate) bool {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(cert.PublicKey)
}

// NotAfter is when the certificate, or an intermediate that its peers need,
// expires first.
func (i *Identity) NotAfter() time.Time { return i.notAfter }

// checkDates refuses a certificate that no peer would accept at that time.
func (i *Identity) checkDates(now time.Time) error {
	switch {
	case now.After(i.Leaf.NotAfter):
		return fmt.Errorf("the certificate expired on %s", date(i.Leaf.NotAfter))
	case now.After(i.notAfter):
		return fmt.Errorf("an intermediate of the certificate expired on %s", date(i.notAfter))
	case now.Before(i.Leaf.NotBefore):
		return fmt.Errorf("the certificate is not valid before %s", date(i.Leaf.NotBefore))
	}
	return nil
}

func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }
