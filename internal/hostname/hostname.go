package hostname

import (
	"net/netip"
	"strings"
)

// Canonical takes the port, the brackets and one final dot off a Host, and lowers
// its case. It returns false for everything that is not plainly a name or an
// address (RFC 3986 section 3.2.2 allows more, which two parsers read in two
// ways). A host in canonical form costs no allocation; of an address each spelling is
// a host of its own.
func Canonical(hostport string) (string, bool) {
	host := hostport
	if strings.HasPrefix(host, "[") {
		end := strings.IndexByte(host, ']')
		if end < 0 || !plainPort(host[end+1:]) {
			return "", false
		}
		a, err := netip.ParseAddr(host[1:end])
		if err != nil || !a.Is6() || a.Zone() != "" {
			return "", false
		}
		return strings.ToLower(host[1:end]), true
	}
	if colon := strings.IndexByte(host, ':'); colon >= 0 {
		if !plainPort(host[colon:]) {
			return "", false
		}
		host = host[:colon]
	}
	host = strings.TrimSuffix(host, ".")
	if host == "" || len(host) > 253 {
		return "", false
	}
	last := byte('.')
	for i := range len(host) {
		c := host[i]
		if c == '.' && last == '.' || c != '.' && !ofLabel(c) {
			return "", false
		}
		last = c
	}
	if last == '.' {
		return "", false
	}
	return strings.ToLower(host), true
}

func ofLabel(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// plainPort reports whether s is empty, or a colon and at most five digits.
func plainPort(s string) bool {
	return s == "" || s[0] == ':' && len(s) <= 6 && strings.Trim(s[1:], "0123456789") == ""
}

// Loopback reports whether a canonical host means this machine: localhost, a
// name below it (RFC 6761 section 6.3), or a loopback address.
func Loopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}
