package tlstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"
)

// CA signs certificates. It may itself be signed by another CA.
type CA struct {
	// Cert is the CA's own certificate.
	Cert *x509.Certificate
	// Key is the CA's private key.
	Key *ecdsa.PrivateKey

	chain []byte // PEM of the intermediates up to, and without, the root
}

// NewCA makes a self-signed root that is valid from an hour ago for a day.
func NewCA(t testing.TB, cn string) *CA {
	t.Helper()
	template := caTemplate(t, cn)
	key := newKey(t)
	return &CA{Cert: sign(t, template, template, key, key), Key: key}
}

// Intermediate makes a CA signed by this one, which may be confined to DNS
// domains. The certificates that it issues come with it in one PEM, as servers
// need them.
func (ca *CA) Intermediate(t testing.TB, cn string, permittedDomains ...string) *CA {
	t.Helper()
	key, template := newKey(t), caTemplate(t, cn)
	template.PermittedDNSDomains = permittedDomains
	cert := sign(t, template, ca.Cert, key, ca.Key)
	return &CA{Cert: cert, Key: key, chain: append(encode("CERTIFICATE", cert.Raw), ca.chain...)}
}

// PEM is the CA's own certificate.
func (ca *CA) PEM() []byte { return encode("CERTIFICATE", ca.Cert.Raw) }

// Pool holds the CA's own certificate.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.Cert)
	return pool
}

// Server issues a server certificate; names are DNS names or IP addresses, the
// first is also the Common Name.
func (ca *CA) Server(t testing.TB, names ...string) (certPEM, keyPEM []byte) {
	t.Helper()
	template := Template(t, "server")
	if len(names) > 0 {
		template.Subject.CommonName = names[0]
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	addNames(t, template, names)
	return ca.Issue(t, template)
}

// Client issues a client certificate; sans are URIs, e-mail addresses, IP
// addresses or DNS names.
func (ca *CA) Client(t testing.TB, cn string, sans ...string) (certPEM, keyPEM []byte) {
	t.Helper()
	template := Template(t, cn)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	addNames(t, template, sans)
	return ca.Issue(t, template)
}

// Issue signs a template, for what the other methods do not make. Serial
// number, validity and Common Name are best begun with Template.
func (ca *CA) Issue(t testing.TB, template *x509.Certificate) (certPEM, keyPEM []byte) {
	t.Helper()
	key := newKey(t)
	cert := sign(t, template, ca.Cert, key, ca.Key)
	return append(encode("CERTIFICATE", cert.Raw), ca.chain...), encodeKey(t, key)
}

// Template is a certificate to be issued: a random serial number, valid from an
// hour ago for a day, without any extension.
func Template(t testing.TB, cn string) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		t.Fatalf("serial number: %v", err)
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: cn},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
	}
}

func caTemplate(t testing.TB, cn string) *x509.Certificate {
	template := Template(t, cn)
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	return template
}

func addNames(t testing.TB, template *x509.Certificate, names []string) {
	t.Helper()
	for _, name := range names {
		switch ip := net.ParseIP(name); {
		case ip != nil:
			template.IPAddresses = append(template.IPAddresses, ip)
		case strings.Contains(name, "://"):
			u, err := url.Parse(name)
			if err != nil {
				t.Fatalf("URI name: %v", err)
			}
			template.URIs = append(template.URIs, u)
		case strings.Contains(name, "@"):
			template.EmailAddresses = append(template.EmailAddresses, name)
		default:
			template.DNSNames = append(template.DNSNames, name)
		}
	}
}

func sign(t testing.TB, template, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatalf("sign %s: %v", template.Subject, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("parse %s: %v", template.Subject, err)
	}
	return cert
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("generate key: %v", err)
	}
	return key
}

func encodeKey(t testing.TB, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatalf("encode key: %v", err)
	}
	return encode("PRIVATE KEY", der)
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
