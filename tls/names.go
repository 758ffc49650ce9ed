package tls

import (
	"crypto/sha256"
	cryptotls "crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// The kinds of GeneralName that we know, by their tag (RFC 5280 section 4.2.1.6).
const (
	tagEmail = 1
	tagDNS   = 2
	tagURI   = 6
	tagIP    = 7
)

// subjectAltName is id-ce-subjectAltName.
var subjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// VerifiedPeer is the peer's certificate, if it showed one and it verified;
// else, and for nil, it is nil.
func VerifiedPeer(cs *cryptotls.ConnectionState) *x509.Certificate {
	if cs == nil || len(cs.VerifiedChains) == 0 || len(cs.PeerCertificates) == 0 {
		return nil
	}
	return cs.PeerCertificates[0]
}

// PeerName names the holder of a certificate, in principals and logs: its first
// subject alternative name, else its subject, else its SHA-256 fingerprint.
func PeerName(cert *x509.Certificate) string {
	if name := firstSAN(cert); name != "" {
		return name
	}
	if subject := distinguishedName(cert.RawSubject); subject != "" {
		return subject
	}
	sum := sha256.Sum256(cert.Raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// hasSAN tells a certificate that relies on its Common Name from one that has
// names of any kind, those that crypto/x509 does not know included.
func hasSAN(cert *x509.Certificate) bool { return extension(cert, subjectAltName) != nil }

// extension is the value of an extension, of which crypto/x509 takes one of a kind;
// nil where there is none.
func extension(cert *x509.Certificate, id asn1.ObjectIdentifier) []byte {
	i := slices.IndexFunc(cert.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(id) })
	if i < 0 {
		return nil
	}
	return cert.Extensions[i].Value
}

// firstSAN is the first name in the certificate's own order. crypto/x509 sorts
// names by kind, so the extension is read for the kind that comes first.
func firstSAN(cert *x509.Certificate) string {
	var names []asn1.RawValue
	if _, err := asn1.Unmarshal(extension(cert, subjectAltName), &names); err != nil {
		return ""
	}
	for _, name := range names {
		switch {
		case name.Tag == tagEmail && len(cert.EmailAddresses) > 0:
			return cert.EmailAddresses[0]
		case name.Tag == tagDNS && len(cert.DNSNames) > 0:
			return cert.DNSNames[0]
		case name.Tag == tagURI && len(cert.URIs) > 0:
			return cert.URIs[0].String()
		case name.Tag == tagIP && len(cert.IPAddresses) > 0:
			return cert.IPAddresses[0].String()
		}
	}
	return ""
}

// CheckName reports what is wrong with a pattern for MatchName.
func CheckName(pattern string) error {
	switch host, wild := strings.CutPrefix(pattern, "*."); {
	case pattern == "":
		return errors.New("a name is empty")
	case strings.Contains(pattern, "://"):
		prefix := strings.TrimSuffix(pattern, "/*")
		if u, err := url.Parse(prefix); err != nil || u.Host == "" || strings.Contains(prefix, "*") {
			return fmt.Errorf("%q is not a URI; it may end in /*", pattern)
		}
	case strings.Contains(host, "*"):
		return fmt.Errorf("%q: * stands for one whole label at the start, as in *.example.com, or ends a URI, as in spiffe://td/*", pattern)
	case wild && (host == "" || strings.ContainsAny(host, "@:")):
		return fmt.Errorf("%q: * stands only before a DNS name", pattern)
	case strings.ContainsAny(pattern, " \t/"):
		return fmt.Errorf("%q is no DNS name, email address, IP address or URI", pattern)
	}
	return nil
}

// MatchName reports whether one of the certificate's subject alternative names
// fits the pattern: a URI, which may end in /* for everything below it; an
// email address; an IP address; a DNS name, which may begin with *. for one
// label. The Common Name never counts. A pattern that CheckName refuses
// matches nothing.
func MatchName(pattern string, cert *x509.Certificate) bool {
	if CheckName(pattern) != nil {
		return false
	}
	if strings.Contains(pattern, "://") {
		return slices.ContainsFunc(cert.URIs, func(u *url.URL) bool { return matchURI(pattern, u) })
	}
	if ip, err := netip.ParseAddr(pattern); err == nil {
		// A certificate has no zones, and an address with one is no other's name.
		return ip.Zone() == "" && slices.ContainsFunc(cert.IPAddresses, net.IP(ip.AsSlice()).Equal)
	}
	if at := strings.LastIndex(pattern, "@"); at >= 0 {
		return slices.ContainsFunc(cert.EmailAddresses, func(have string) bool {
			// RFC 5321 section 2.4: only the domain ignores case.
			return len(have) > at && have[:at] == pattern[:at] && strings.EqualFold(have[at:], pattern[at:])
		})
	}
	return slices.ContainsFunc(cert.DNSNames, func(have string) bool { return matchDNS(pattern, have) })
}

// matchURI compares scheme and host without case, the path exactly. What is
// below /* may not climb out of it again.
func matchURI(pattern string, u *url.URL) bool {
	prefix, wild := strings.CutSuffix(pattern, "/*")
	want, err := url.Parse(prefix)
	if err != nil || !strings.EqualFold(want.Scheme, u.Scheme) || !strings.EqualFold(want.Host, u.Host) {
		return false
	}
	if !wild {
		a, b := *want, *u
		a.Scheme, a.Host, b.Scheme, b.Host = "", "", "", ""
		return a.String() == b.String()
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	rest, ok := strings.CutPrefix(u.EscapedPath(), want.EscapedPath()+"/")
	if !ok || rest == "" {
		return false
	}
	return !slices.ContainsFunc(strings.Split(rest, "/"), func(segment string) bool {
		plain, err := url.PathUnescape(segment)
		return err != nil || plain == "." || plain == ".." || strings.Contains(plain, "/")
	})
}

// matchDNS compares without case; the pattern may begin with *. for one label.
func matchDNS(pattern, name string) bool {
	pattern, name = strings.TrimSuffix(pattern, "."), strings.TrimSuffix(name, ".")
	if parent, ok := strings.CutPrefix(pattern, "*."); ok {
		label, rest, found := strings.Cut(name, ".")
		return found && label != "" && strings.EqualFold(rest, parent)
	}
	return strings.EqualFold(pattern, name)
}
