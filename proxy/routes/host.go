package routes

import (
	"errors"
	"net/netip"
	"strings"
)

// canonicalHost takes the port and one final dot off a Host and lowers its
// case. It returns false for everything that is not plainly a name or an
// address (RFC 3986 section 3.2.2 allows more, which two parsers read in two
// ways). A host in canonical form costs no allocation.
func canonicalHost(hostport string) (string, bool) {
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
	label := 0
	for i := range len(host) {
		switch c := host[i]; {
		case c == '.':
			if label == 0 {
				return "", false
			}
			label = 0
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
			label++
		default:
			return "", false
		}
	}
	if label == 0 {
		return "", false
	}
	return strings.ToLower(host), true
}

// plainPort reports whether s is empty, or a colon and at most five digits.
func plainPort(s string) bool {
	if s == "" {
		return true
	}
	if s[0] != ':' || len(s) > 6 {
		return false
	}
	for i := 1; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// hostPattern is one entry of match.hosts.
type hostPattern struct {
	exact  string
	suffix string // of a wildcard, with its dot
}

func parseHostPattern(s string) (hostPattern, error) {
	rest, wildcard := strings.CutPrefix(s, "*.")
	switch {
	case s == "*":
		return hostPattern{}, errors.New("is every host, as are empty hosts")
	case strings.Contains(rest, "*"):
		return hostPattern{}, errors.New("has a wildcard that is not its whole first label, as in *.example.com")
	case strings.Contains(rest, "/"):
		return hostPattern{}, errors.New("is more than a host name")
	}
	host, ok := canonicalHost(rest)
	if !ok {
		return hostPattern{}, errors.New("is not a host name")
	}
	if strings.HasPrefix(rest, "[") != strings.Contains(rest, ":") || strings.HasSuffix(rest, ":") ||
		strings.Contains(rest, "]:") {
		return hostPattern{}, errors.New("has a port; ports are not matched")
	}
	if wildcard {
		return hostPattern{suffix: "." + host}, nil
	}
	return hostPattern{exact: host}, nil
}

// matches reports whether a canonical host fits. A wildcard stands for one or
// more labels.
func (p hostPattern) matches(host string) bool {
	if p.suffix != "" {
		return len(host) > len(p.suffix) && strings.HasSuffix(host, p.suffix)
	}
	return host == p.exact
}
