package hostname

import (
	"errors"
	"net/netip"
	"strings"
)

// Pattern stands for one host, or for every host below a name. One of its fields
// is set. Patterns can be compared with ==.
type Pattern struct {
	// Exact is a canonical host.
	Exact string
	// Suffix is what a wildcard leaves of its name, the dot before it included:
	// .example.com of *.example.com. A wildcard stands for one or more labels.
	Suffix string
}

// ParsePattern reads a host name or an address, or a name that begins with "*.".
// The error continues a sentence that begins with the pattern.
func ParsePattern(s string) (Pattern, error) {
	rest, wildcard := strings.CutPrefix(s, "*.")
	switch {
	case s == "*":
		return Pattern{}, errors.New("is every host, as are empty hosts")
	case strings.Contains(rest, "*"):
		return Pattern{}, errors.New("has a wildcard that is not its whole first label, as in *.example.com")
	case strings.Contains(rest, "/"):
		return Pattern{}, errors.New("is more than a host name")
	}
	host, ok := Canonical(rest)
	if !ok {
		return Pattern{}, errors.New("is not a host name")
	}
	if strings.HasPrefix(rest, "[") != strings.Contains(rest, ":") || strings.HasSuffix(rest, ":") ||
		strings.Contains(rest, "]:") {
		return Pattern{}, errors.New("has a port; ports are not matched")
	}
	if _, err := netip.ParseAddr(host); wildcard && err == nil {
		return Pattern{}, errors.New("is a wildcard below an address; hosts are below names")
	}
	if wildcard {
		return Pattern{Suffix: "." + host}, nil
	}
	return Pattern{Exact: host}, nil
}

// String is the pattern as the configuration writes it, in canonical form.
func (p Pattern) String() string {
	if p.Suffix != "" {
		return "*" + p.Suffix
	}
	return p.Exact
}

// Matches reports whether a canonical host fits.
func (p Pattern) Matches(host string) bool {
	if p.Suffix != "" {
		return len(host) > len(p.Suffix) && strings.HasSuffix(host, p.Suffix)
	}
	return host == p.Exact
}

// Covers reports whether every host that fits q fits p, too.
func (p Pattern) Covers(q Pattern) bool {
	if q.Suffix != "" {
		return p.Suffix != "" && strings.HasSuffix(q.Suffix, p.Suffix)
	}
	return p.Matches(q.Exact)
}
