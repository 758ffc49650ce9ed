package tls

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// checkACMEName says why no certificate can be obtained for a name with the
// challenges that there are: good are host names in ASCII, and IP addresses as they
// are usually written.
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
	}
	return checkHostName(name, name)
}

// checkPolicyHost says what is wrong with a name that a ClientHello may hold,
// which is never an IP address (RFC 6066 section 3).
func checkPolicyHost(host string) error {
	if _, err := netip.ParseAddr(host); err == nil {
		return fmt.Errorf("%q: clients never name an IP address; what holds without a name stands in tls itself", host)
	}
	name := strings.TrimSuffix(strings.TrimPrefix(host, "*."), ".")
	err := checkHostName(host, name)
	if err != nil && strings.Contains(name, "*") {
		return fmt.Errorf("%w; *. may stand before one", err)
	}
	return err
}

// checkHostName says why a name is no host name; written is how the file has it. An
// underscore stands in names that never were host names, and yet are used as such.
func checkHostName(written, name string) error {
	if len(name) > 253 {
		return fmt.Errorf("%q is longer than a host name can be", written)
	}
	for label := range strings.SplitSeq(name, ".") {
		switch {
		case strings.ContainsFunc(label, func(r rune) bool { return r > 0x7f }):
			return fmt.Errorf("%q has letters beyond ASCII: clients and authorities name it in Punycode (xn--…), and so must this", written)
		case label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.Trim(strings.ToLower(label), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "":
			return fmt.Errorf("%q is not a host name", written)
		}
	}
	return nil
}
