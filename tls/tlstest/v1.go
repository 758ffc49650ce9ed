package tlstest

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"
)

// The structures of RFC 5280 section 4.1 without version and extensions, which
// is what X.509 version 1 is. x509.CreateCertificate makes version 3 only.
type (
	v1Body struct {
		SerialNumber *big.Int
		Algorithm    pkix.AlgorithmIdentifier
		Issuer       asn1.RawValue
		Validity     struct{ NotBefore, NotAfter time.Time }
		Subject      asn1.RawValue
		PublicKey    asn1.RawValue
	}
	v1Certificate struct {
		Body      asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
)

// CommonNameOnly issues what `openssl x509 -req` without extensions makes: an
// X.509 version 1 certificate that has a Common Name and nothing else. It
// serves as a server's and as a client's.
func (ca *CA) CommonNameOnly(t testing.TB, cn string) (certPEM, keyPEM []byte) {
	t.Helper()
	template, key := Template(t, cn), newKey(t)
	ecdsaWithSHA256 := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatalf("encode public key: %v", err)
	}
	body := v1Body{
		SerialNumber: template.SerialNumber,
		Algorithm:    ecdsaWithSHA256,
		Issuer:       asn1.RawValue{FullBytes: ca.Cert.RawSubject},
		Subject:      asn1.RawValue{FullBytes: marshal(t, template.Subject.ToRDNSequence())},
		PublicKey:    asn1.RawValue{FullBytes: public},
	}
	body.Validity.NotBefore, body.Validity.NotAfter = template.NotBefore.UTC(), template.NotAfter.UTC()
	raw := marshal(t, body)
	digest := sha256.Sum256(raw)
	signature, err := ecdsa.SignASN1(rand.Reader, ca.Key, digest[:])
	if err != nil {
		t.Fatalf("sign %s: %v", cn, err)
	}
	der := marshal(t, v1Certificate{
		Body:      asn1.RawValue{FullBytes: raw},
		Algorithm: ecdsaWithSHA256,
		Signature: asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)},
	})
	return append(encode("CERTIFICATE", der), ca.chain...), encodeKey(t, key)
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	der, err := asn1.Marshal(v)
	if err != nil {
		t.Fatalf("encode %T: %v", v, err)
	}
	return der
}
