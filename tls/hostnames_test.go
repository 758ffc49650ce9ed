package tls

import (
	"strings"
	"testing"
)

func TestOnlyNamesThatCanBeProvedAreTaken(t *testing.T) {
	for name, want := range map[string]string{
		"example.com": "", "localhost": "", "A-b.example.com": "", "192.0.2.7": "", "2001:db8::1": "", "xn--mnchen-3ya.de": "",
		"":                        "is empty",
		"*.example.com":           "DNS challenge",
		"münchen.de":              "Punycode",
		"example.com.":            "not a host name",
		"a..b":                    "not a host name",
		"-a.b":                    "not a host name",
		"example.com:443":         "not a host name",
		"../x":                    "not a host name",
		"2001:0db8::1":            "as 2001:db8::1",
		"fe80::1%eth0":            "as fe80::1",
		"::ffff:192.0.2.7":        "as 192.0.2.7",
		strings.Repeat("a", 64):   "not a host name",
		strings.Repeat("a.", 127): "longer",
	} {
		err := checkACMEName(name)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, not %q", name, err, want)
		}
	}
}
