package tls

import (
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

func TestEachMistakeInAKeyPairHasItsOwnError(t *testing.T) {
	ca := tlstest.NewCA(t, "CA")
	cert, key := ca.Server(t, "localhost")
	otherCert, otherKey := ca.Server(t, "localhost")
	block, _ := pem.Decode(cert)
	encrypted := []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")
	oldEncrypted := []byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n")
	broken := []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	for _, c := range []struct {
		name      string
		cert, key []byte
		want      string
		torn      bool
	}{
		{"good", cert, key, "", false},
		{"one file for both", append(append([]byte{}, key...), cert...), append(append([]byte{}, cert...), key...), "", false},
		{"empty", nil, key, "certificate: the file is empty", true},
		{"empty key", cert, []byte("\n"), "key: the file is empty", true},
		{"cut off", cert[:len(cert)/2], key, "cut off", true},
		{"key cut off", cert, key[:len(key)/2], "cut off", true},
		{"mismatch", cert, otherKey, "does not belong", true},
		{"any order", append(append([]byte{}, otherCert...), cert...), key, "", false},
		{"swapped", key, cert, `holds no certificate, but "PRIVATE KEY"`, false},
		{"no key", cert, cert, `holds no private key, but "CERTIFICATE"`, false},
		{"DER", block.Bytes, key, "DER", false},
		{"no PEM", []byte("hello"), key, "not PEM", false},
		{"broken", broken, key, "certificate 1 of the file", false},
		{"encrypted", cert, encrypted, "encrypted", false},
		{"encrypted, old form", cert, oldEncrypted, "encrypted", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := parseIdentity(c.cert, c.key, nil)
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want an error with %q", err, c.want)
			}
			if isTorn(err) != c.torn {
				t.Errorf("%v: torn is %v, want %v", err, isTorn(err), c.torn)
			}
		})
	}
}

func TestTrustNeedsACA(t *testing.T) {
	ca := tlstest.NewCA(t, "CA")
	leaf, _ := ca.Server(t, "localhost")
	if _, err := parseTrust(leaf); err == nil || !strings.Contains(err.Error(), "no CA") {
		t.Errorf("a file without a CA: got %v", err)
	}
	trust, err := parseTrust(append(leaf, ca.PEM()...))
	if err != nil || trust.ignored != 1 {
		t.Errorf("a CA beside a leaf: ignored %+v, %v", trust, err)
	}
}

func TestMatchName(t *testing.T) {
	uri := func(s string) *url.URL { u, _ := url.Parse(s); return u }
	cert := &x509.Certificate{
		DNSNames:       []string{"a.example.com", "Host.Test"},
		EmailAddresses: []string{"Ops@Example.com"},
		IPAddresses:    []net.IP{net.ParseIP("10.0.0.1"), net.ParseIP("::1"), net.ParseIP("fe80::1")},
		URIs:           []*url.URL{uri("spiffe://td/ns/a"), uri("spiffe://up/ns/../b"), uri("spiffe://up/x%2F..%2Fy")},
	}
	cert.Subject.CommonName = "common"
	for pattern, want := range map[string]bool{
		"a.example.com":      true,
		"A.Example.Com":      true,
		"*.example.com":      true,
		"*.com":              false,
		"example.com":        false,
		"host.test":          true,
		"common":             false,
		"Ops@example.COM":    true,
		"ops@example.com":    false,
		"10.0.0.1":           true,
		"10.0.0.2":           false,
		"0:0:0:0:0:0:0:1":    true,
		"fe80::1":            true,
		"fe80::1%eth0":       false,
		"spiffe://td/ns/a":   true,
		"spiffe://TD/ns/a":   true,
		"spiffe://td/*":      true,
		"spiffe://td/ns/*":   true,
		"spiffe://td/n/*":    false,
		"spiffe://td/ns/a/*": false,
		"spiffe://td/ns":     false,
		"spiffe://t/*":       false,
		"spiffe://up/ns/*":   false,
		"spiffe://up/*":      false,
		"":                   false,
		"*":                  false,
		"*.":                 false,
		"spiffe://*/ns/a":    false,
	} {
		if got := MatchName(pattern, cert); got != want {
			t.Errorf("%q: %v, want %v", pattern, got, want)
		}
	}
}

func TestPeerNameIsTheFirstSANOfTheCertificate(t *testing.T) {
	ca := tlstest.NewCA(t, "CA")
	name := func(certPEM, keyPEM []byte) string {
		id, err := parseIdentity(certPEM, keyPEM, nil)
		if err != nil {
			t.Fatal(err)
		}
		return PeerName(id.Leaf)
	}
	for want, got := range map[string]string{
		"spiffe://td/a": name(ca.Client(t, "x", "spiffe://td/a")),
		"a.test":        name(ca.Client(t, "x", "spiffe://td/a", "a.test")), // CreateCertificate writes DNS names first
		"10.1.2.3":      name(ca.Client(t, "x", "10.1.2.3")),
		"a@b.test":      name(ca.Client(t, "x", "a@b.test")),
		"CN=Client":     name(ca.CommonNameOnly(t, "Client")),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := name(ca.Issue(t, tlstest.Template(t, ""))); !strings.HasPrefix(got, "sha256:") {
		t.Errorf("a nameless certificate is called %q", got)
	}
}

func FuzzParse(f *testing.F) {
	ca := tlstest.NewCA(f, "CA")
	cert, key := ca.Server(f, "localhost")
	v1, v1Key := ca.CommonNameOnly(f, "localhost")
	f.Add(cert, key)
	f.Add(v1, v1Key)
	f.Add(ca.PEM(), key)
	f.Add([]byte("-----BEGIN "), []byte{0x30})
	f.Fuzz(func(t *testing.T, cert, key []byte) {
		if id, err := parseIdentity(cert, key, nil); err == nil {
			PeerName(id.Leaf)
			if id.Certificate.PrivateKey == nil || len(id.Certificate.Certificate) == 0 {
				t.Error("half an identity without an error")
			}
		}
		if trust, err := parseTrust(cert); err == nil && trust.pool.Equal(x509.NewCertPool()) {
			t.Error("trust in no CA without an error")
		}
	})
}

func FuzzMatchName(f *testing.F) {
	f.Add("spiffe://td/*", "spiffe://td/ns/a", "a.example.com")
	f.Add("*.example.com", "http://x", "a.example.com")
	f.Add("a@b", "u:x", "b")
	f.Fuzz(func(t *testing.T, pattern, uri, dns string) {
		cert := &x509.Certificate{DNSNames: []string{dns}, EmailAddresses: []string{dns}}
		if u, err := url.Parse(uri); err == nil {
			cert.URIs = []*url.URL{u}
		}
		if MatchName(pattern, cert) && CheckName(pattern) != nil {
			t.Errorf("%q is no pattern, and matched", pattern)
		}
	})
}
