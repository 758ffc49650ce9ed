package tls

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"
)

// ForwardedHeader carries a client's identity upstream. Its format is Envoy's
// ("X-Forwarded-Client-Cert" in "HTTP header manipulation").
const ForwardedHeader = "X-Forwarded-Client-Cert"

// Forwarded is the value of ForwardedHeader for a peer that was verified. own
// is the certificate that it was shown, and may be nil. Whatever a CA has put
// into a name stays one quoted value.
func Forwarded(peer, own *x509.Certificate) string {
	var b strings.Builder
	add := func(key, value string) {
		if b.Len() > 0 {
			b.WriteByte(';')
		}
		b.WriteString(key)
		b.WriteByte('=')
		b.WriteString(value)
	}
	if own != nil && len(own.URIs) > 0 {
		add("By", quoteIfNeeded(own.URIs[0].String()))
	}
	sum := sha256.Sum256(peer.Raw)
	add("Hash", hex.EncodeToString(sum[:]))
	// As Envoy has it, without another layer of backslashes.
	add("Subject", `"`+distinguishedName(peer.RawSubject)+`"`)
	for _, uri := range peer.URIs {
		add("URI", quoteIfNeeded(uri.String()))
	}
	for _, name := range peer.DNSNames {
		add("DNS", quoteIfNeeded(name))
	}
	return b.String()
}

func quoteIfNeeded(s string) string {
	if strings.ContainsAny(s, ` ,;="\`) || strings.ContainsFunc(s, unprintable) {
		return quote(s)
	}
	return s
}

// quote escapes what would end the value, and what a header cannot hold: the
// latter, and backslashes, as pairs of hexadecimal digits. Readers do not agree
// about two backslashes: to some, the second escapes the quote that follows.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"':
			b.WriteString(`\"`)
		case c == '\\' || c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, `\%02X`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func unprintable(r rune) bool { return r < ' ' || r >= 0x7f }
