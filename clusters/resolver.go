package clusters

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"time"
)

// Resolver is what clusters need of net.Resolver.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// lookupTimeout bounds one look-up of a name; NewSet waits no longer for DNS.
const lookupTimeout = 3 * time.Second

// maxAddresses bounds how many endpoints one name may become.
const maxAddresses = 256

// lookup resolves a host to its addresses, sorted and without duplicates. An
// empty answer is an error.
func lookup(ctx context.Context, r Resolver, host string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	addrs, err := r.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	addrs = slices.Clone(addrs)
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	addrs = slices.Compact(addrs)
	if len(addrs) == 0 {
		return nil, fmt.Errorf("lookup %s: no addresses", host)
	}
	return addrs[:min(len(addrs), maxAddresses)], nil
}

// literal returns the address of a URL whose host is an IP address.
func literal(u *url.URL) (netip.Addr, bool) {
	a, err := netip.ParseAddr(u.Hostname())
	return a.Unmap(), err == nil
}

// hostPort is where the connections of a URL go to once its host is known.
func hostPort(u *url.URL, a netip.Addr) string {
	port := u.Port()
	if port == "" {
		port = "80"
		if u.Scheme == "https" {
			port = "443"
		}
	}
	return net.JoinHostPort(a.String(), port)
}
