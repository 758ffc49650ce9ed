package tls

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
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
	add("Subject", quote(peer.Subject.String()))
	for _, uri := range peer.URIs {
		add("URI", quoteIfNeeded(uri.String()))
	}
	for _, name := range peer.DNSNames {
		add("DNS", quoteIfNeeded(name))
	}
	return b.String()
}

func quoteIfNeeded(s string) string {
	if strings.ContainsAny(s, `,;="\`) || strings.ContainsFunc(s, unprintable) {
		return quote(s)
	}
	return s
}

// quote escapes what would end the value. What a header cannot hold becomes a
// question mark.
func quote(s string) string {
	s = strings.Map(func(r rune) rune {
		if unprintable(r) {
			return '?'
		}
		return r
	}, s)
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func unprintable(r rune) bool { return r < ' ' || r >= 0x7f }
