package tlstest

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// CRL makes a revocation list, valid until next, of the leaves of these
// certificates in PEM.
func (ca *CA) CRL(t testing.TB, next time.Time, revoked ...[]byte) (crlPEM []byte) {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(time.Now().UnixNano()), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: next}
	for _, certPEM := range revoked {
		block, _ := pem.Decode(certPEM)
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatalf("certificate to revoke: %v", err)
		}
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: cert.SerialNumber, RevocationTime: time.Now().Add(-time.Minute)})
	}
	return ca.IssueCRL(t, list)
}

// IssueCRL signs a list, for what the other methods do not make.
func (ca *CA) IssueCRL(t testing.TB, list *x509.RevocationList) (crlPEM []byte) {
	t.Helper()
	der, err := x509.CreateRevocationList(rand.Reader, list, ca.Cert, ca.Key)
	if err != nil {
		t.Fatalf("revocation list: %v", err)
	}
	return encode("X509 CRL", der)
}

// PartialCRL makes a list that covers only certificates of users (RFC 5280
// section 5.2.5).
func (ca *CA) PartialCRL(t testing.TB) (crlPEM []byte) {
	t.Helper()
	return ca.IssueCRL(t, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour),
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: []byte{0x30, 3, 0x81, 1, 0xff}}},
	})
}
