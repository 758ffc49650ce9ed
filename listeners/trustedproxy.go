package listeners

import (
	"errors"
	"net/netip"
)

// TrustedProxy says whose X-Forwarded-* fields are believed: clients in a CIDR,
// or all who connect to a unix socket, where the mode of the file says who they
// are. The zero value means no client.
type TrustedProxy struct {
	unix   bool
	prefix netip.Prefix
}

// UnmarshalText reads "unix" or a CIDR.
func (p *TrustedProxy) UnmarshalText(text []byte) error {
	if string(text) == "unix" {
		*p = TrustedProxy{unix: true}
		return nil
	}
	prefix, err := netip.ParsePrefix(string(text))
	if err != nil {
		return errors.New("write a CIDR like 10.0.0.0/8, or 10.0.0.1/32 for one address, or unix for the clients of a unix socket")
	}
	*p = TrustedProxy{prefix: prefix}
	return nil
}

// MarshalText is the inverse.
func (p TrustedProxy) MarshalText() ([]byte, error) {
	if p.unix {
		return []byte("unix"), nil
	}
	return p.prefix.MarshalText()
}

func (p TrustedProxy) matches(addr netip.Addr) bool {
	if !addr.IsValid() {
		return p.unix
	}
	return p.prefix.Contains(addr)
}
