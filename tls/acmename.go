package tls

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// checkACMEName reports whether a certificate can be obtained for a name with the
// challenges that there are: it is a host name in ASCII, or an IP address as it
// is usually written.
func checkACMEName(name string) error {
	if ip, err := netip.ParseAddr(name); err == nil {
		if ip.Zone() != "" || ip.Unmap().String() != name {
			return fmt.Errorf("write the address %s as %s", name, ip.WithZone("").Unmap())
		}
		return nil
	}
	switch {
	case name == "":
		return errors.New("the name is empty")
	case strings.HasPrefix(name, "*."):
		return fmt.Errorf("a certificate for the wildcard %s takes a DNS challenge, which is not supported: list the names, or give cert and key", name)
	case len(name) > 253:
		return fmt.Errorf("%q is longer than a host name can be", name)
	}
	for label := range strings.SplitSeq(name, ".") {
		if len(label) == 0 || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return fmt.Errorf("%q is not a host name", name)
		}
		for _, c := range label {
			switch {
			case c > 127:
				return fmt.Errorf("%q has letters beyond ASCII: write it in Punycode (xn--…)", name)
			case c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z':
			default:
				return fmt.Errorf("%q is not a host name", name)
			}
		}
	}
	return nil
}
