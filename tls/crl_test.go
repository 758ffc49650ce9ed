package tls

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// derOf is the content of the first block of PEM.
func derOf(text []byte) []byte {
	block, _ := pem.Decode(text)
	return block.Bytes
}

func TestEveryRevocationListOfAFileIsRead(t *testing.T) {
	soon := time.Now().Add(time.Hour)
	one, two := tlstest.NewCA(t, "one").CRL(t, soon), tlstest.NewCA(t, "two").CRL(t, soon)
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	block := func(der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}) }
	// 0x30, and a length after which something else might begin.
	comment := []byte("0 is the number of the list that follows\n")
	for _, c := range []struct {
		name string
		file []byte
		want int // lists; 0 for an error
	}{
		{"PEM", join(one, two), 2},
		{"DER", join(derOf(one), derOf(two)), 2},
		{"DER within one block of PEM", block(join(derOf(one), derOf(two))), 2},
		{"text that begins like DER before PEM", join(comment, one, two), 2},
		{"garbage behind DER", join(derOf(one), []byte("x")), 0},
		{"an empty element behind DER", join(derOf(one), []byte{0x30, 0}), 0},
		{"garbage in a block of PEM", block(join(derOf(one), []byte("x"))), 0},
		{"PEM behind DER", join(derOf(one), two), 0},
		{"DER behind PEM", join(one, derOf(two)), 0},
		{"half a list behind DER", join(derOf(one), derOf(two)[:100]), 0},
	} {
		lists, err := parseCRLs(c.file)
		if c.want == 0 {
			if err == nil || !isTorn(err) {
				t.Errorf("%s: got %v, want a torn file", c.name, err)
			}
			continue
		}
		if err != nil || len(lists.lists) != c.want {
			t.Errorf("%s: got %+v, %v, want %d lists", c.name, lists, err, c.want)
		}
	}
}

func TestALimitedRevocationListIsRefusedAlsoWhenTheLimitIsNotCritical(t *testing.T) {
	ca := tlstest.NewCA(t, "CA")
	const partial, delta, malformed = "covers only a part", "is a delta", "is malformed"
	for _, c := range []struct {
		name string
		id   int // below 2.5.29
		der  []byte
		want string
	}{
		{"delta", 27, []byte{2, 1, 1}, delta},
		{"of users", 28, []byte{0x30, 3, 0x81, 1, 0xff}, partial},
		{"of CAs", 28, []byte{0x30, 3, 0x82, 1, 0xff}, partial},
		{"for some reasons", 28, []byte{0x30, 4, 0x83, 2, 1, 2}, partial},
		{"indirect", 28, []byte{0x30, 3, 0x84, 1, 0xff}, partial},
		{"of attributes", 28, []byte{0x30, 3, 0x85, 1, 0xff}, partial},
		{"of users at a point", 28, []byte{0x30, 10, 0xa0, 5, 0xa0, 3, 0x86, 1, 'x', 0x81, 1, 0xff}, partial},
		{"empty", 28, []byte{0x30, 0}, partial},
		{"relative to its CA", 28, []byte{0x30, 4, 0xa0, 2, 0xa1, 0}, malformed},
		{"of no name", 28, []byte{0x30, 4, 0xa0, 2, 0xa0, 0}, malformed},
		{"followed by something", 28, []byte{0x30, 7, 0xa0, 5, 0xa0, 3, 0x86, 1, 'x', 0}, malformed},
		{"no structure", 28, []byte{0xff}, malformed},
		{"unknown", 99, []byte{5, 0}, "critical extension"},
	} {
		for _, critical := range []bool{false, true} {
			if !critical && c.id == 99 {
				continue
			}
			list := ca.IssueCRL(t, &x509.RevocationList{
				Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour),
				ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, c.id}, Critical: critical, Value: c.der}},
			})
			if _, err := parseCRLs(list); err == nil || isTorn(err) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "complete list") {
				t.Errorf("%s, critical %v: got %v, want an error with %q", c.name, critical, err, c.want)
			}
		}
	}
}

// issuingPointOf is the extension of a list that is for one distribution point.
func issuingPointOf(uri string) pkix.Extension {
	der := append([]byte{0x86, byte(len(uri))}, uri...)
	for _, tag := range []byte{0xa0, 0xa0, 0x30} {
		der = append([]byte{tag, byte(len(der))}, der...)
	}
	return pkix.Extension{Id: issuingDistributionPoint, Critical: true, Value: der}
}

// The lists of a CA that splits them: each says something about the
// certificates that name its distribution point, and about no others.
func TestAListForADistributionPointIsGoodForTheCertificatesThatNameIt(t *testing.T) {
	ca := tlstest.NewCA(t, "CA")
	client := func(points ...string) *x509.Certificate {
		template := tlstest.Template(t, "client")
		template.CRLDistributionPoints = points
		cert, _ := ca.Issue(t, template)
		parsed, err := x509.ParseCertificate(derOf(cert))
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	list := func(uri string, revoked ...*x509.Certificate) []byte {
		l := &x509.RevocationList{
			Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour),
			ExtraExtensions: []pkix.Extension{issuingPointOf(uri)},
		}
		for _, cert := range revoked {
			l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: cert.SerialNumber, RevocationTime: time.Now()})
		}
		return ca.IssueCRL(t, l)
	}
	const one, two = "http://crl.test/1", "http://crl.test/2"
	named, both, other, none := client(one), client(two, one), client(two), client()
	served := *named
	for i, e := range served.Extensions {
		if e.Id.Equal(crlDistributionPoints) {
			// cRLIssuer: another CA writes the list of this point.
			point := append(e.Value[4:len(e.Value):len(e.Value)], 0xa2, 2, 0xa4, 0)
			served.Extensions = append([]pkix.Extension{}, served.Extensions...)
			served.Extensions[i].Value = append([]byte{0x30, byte(len(point) + 2), 0x30, byte(len(point))}, point...)
		}
	}
	const refused = "name its distribution point"
	for _, c := range []struct {
		name string
		cert *x509.Certificate
		file []byte
		want string
	}{
		{"names it", named, list(one), ""},
		{"names it among others", both, list(one), ""},
		{"names another", other, list(one), refused},
		{"names none", none, list(one), refused},
		{"names it, of another CA", &served, list(one), refused},
		{"is revoked", named, list(one, named), "was revoked by"},
		{"is revoked by the list of another", other, list(one, other), "was revoked by"},
		{"a list each", other, append(list(one), list(two)...), ""},
		{"beside a complete list", none, append(list(one), ca.CRL(t, time.Now().Add(time.Hour))...), ""},
	} {
		lists, err := parseCRLs(c.file)
		if err != nil {
			t.Fatal(err)
		}
		err = lists.check([]*x509.Certificate{c.cert, ca.Cert}, CRLExpiredReject, time.Now())
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("a certificate that %s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func TestAListFromTheFutureRevokesButLetsNobodyIn(t *testing.T) {
	ca := tlstest.NewCA(t, "CA")
	var certs []*x509.Certificate
	for range 2 {
		cert, _ := ca.Client(t, "client")
		parsed, err := x509.ParseCertificate(derOf(cert))
		if err != nil {
			t.Fatal(err)
		}
		certs = append(certs, parsed)
	}
	good, bad := certs[0], certs[1]
	list := func(ahead time.Duration) []byte {
		return ca.IssueCRL(t, &x509.RevocationList{
			Number: big.NewInt(1), ThisUpdate: time.Now().Add(ahead), NextUpdate: time.Now().Add(24 * time.Hour),
			RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: bad.SerialNumber, RevocationTime: time.Now()}},
		})
	}
	present := ca.CRL(t, time.Now().Add(time.Hour))
	for _, c := range []struct {
		name string
		cert *x509.Certificate
		file []byte
		want string
	}{
		{"in an hour", good, list(time.Hour), "not valid before"},
		{"in an hour, revoked", bad, list(time.Hour), "was revoked by"},
		{"by a clock that is a little ahead", good, list(time.Minute), ""},
		{"in an hour, beside the present one", good, append(list(time.Hour), present...), ""},
		{"in an hour, beside the present one, revoked", bad, append(list(time.Hour), present...), "was revoked by"},
	} {
		lists, err := parseCRLs(c.file)
		if err != nil {
			t.Fatal(err)
		}
		// No configuration makes a list good before its time.
		err = lists.check([]*x509.Certificate{c.cert, ca.Cert}, CRLExpiredAccept, time.Now())
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func FuzzCRLScope(f *testing.F) {
	f.Add(issuingPointOf("http://crl.test/1").Value, []byte{0x30, 13, 0x30, 11, 0xa0, 9, 0xa0, 7, 0x86, 1, 'y', 0x86, 2, 'x', 'y'})
	f.Add([]byte{0x30, 7, 0xa0, 5, 0xa0, 3, 0x86, 1, 'x'}, []byte{0x30, 9, 0x30, 7, 0xa0, 5, 0xa0, 3, 0x86, 1, 'x'})
	f.Fuzz(func(t *testing.T, issuing, distribution []byte) {
		s, err := issuingPoint(issuing)
		if err != nil {
			return
		}
		if len(s) == 0 {
			t.Fatal("a limited list is taken for a complete one")
		}
		cert := &x509.Certificate{Extensions: []pkix.Extension{{Id: crlDistributionPoints, Value: distribution}}}
		if s.covers(cert) && !slices.ContainsFunc(s, func(name []byte) bool { return bytes.Contains(distribution, name) }) {
			t.Errorf("covers a certificate that names none of its points")
		}
	})
}
