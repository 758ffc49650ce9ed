package tls

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net/url"
	"strings"
	"testing"
)

func TestForwardedIdentityCannotBreakOutOfItsValue(t *testing.T) {
	peer := &x509.Certificate{
		Raw:      []byte("x"),
		Subject:  pkix.Name{CommonName: "a\",Hash=b\r\n;\\"},
		DNSNames: []string{"plain.test", `x;By="y`},
		URIs:     []*url.URL{{Scheme: "spiffe", Host: "td", Path: "/a,b"}},
	}
	own := &x509.Certificate{URIs: []*url.URL{{Scheme: "spiffe", Host: "td", Path: "/gateway"}}}
	got := Forwarded(peer, own)
	if !strings.HasPrefix(got, "By=spiffe://td/gateway;Hash=2d71") || strings.ContainsAny(got, "\r\n") || !strings.HasSuffix(got, `;URI="spiffe://td/a,b";DNS=plain.test;DNS="x;By=\"y"`) {
		t.Errorf("got %s", got)
	}
	if unquoted := outside(got); strings.Count(unquoted, "Hash=") != 1 || strings.Contains(unquoted, ",") {
		t.Errorf("outside of quotes there is %s", unquoted)
	}
}

// outside is what stands outside of quoted values.
func outside(s string) string {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case !quoted:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}
