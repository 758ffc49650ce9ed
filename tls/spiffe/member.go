package spiffe

import (
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// Member reports why a certificate, whose chain was verified, is no identity of
// the trust domain that own, our ID, belongs to (SPIFFE X.509-SVID, section 5).
// A bundle may hold a CA that others use as well, such as a corporate root above
// the domain's own, and its signature alone says nothing about the domain.
func Member(cert *x509.Certificate, own ID) error {
	peer, err := x509svid.IDFromCert(cert)
	switch {
	case err != nil:
		return fmt.Errorf("it is no SPIFFE identity: %w", err)
	case peer.TrustDomain() != own.TrustDomain():
		return fmt.Errorf("it is of the trust domain %s, and only %s is believed", peer.TrustDomain().Name(), own.TrustDomain().Name())
	case cert.IsCA || cert.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0:
		return errors.New("it may sign certificates, which a SPIFFE identity may not")
	}
	return nil
}
