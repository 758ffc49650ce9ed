package listeners

import (
	"net/netip"
	"testing"
)

func TestTrustedProxies(t *testing.T) {
	for _, test := range []struct {
		proxy, addr string
		want        bool
	}{
		{"fe80::/64", "fe80::1%eth0", true},
		{"fe80::/64", "fe80::1", true},
		{"fe80::/64", "2001:db8::1", false},
		{"10.0.0.0/8", "::ffff:10.1.2.3", true},
		{"0.0.0.0/0", "", false},
		{"unix", "", true},
		{"unix", "0.0.0.0", false},
		{"unix", "::", false},
	} {
		c := &Conn{server: &Server{config: Config{TrustedProxies: make([]TrustedProxy, 1)}}}
		if err := c.server.config.TrustedProxies[0].UnmarshalText([]byte(test.proxy)); err != nil {
			t.Fatal(err)
		}
		var addr netip.Addr
		if test.addr != "" {
			addr = netip.MustParseAddr(test.addr)
		}
		if got := c.TrustsProxy(addr); got != test.want {
			t.Errorf("%s trusts %q: %v", test.proxy, test.addr, got)
		}
		if text, err := c.server.config.TrustedProxies[0].MarshalText(); err != nil || string(text) != test.proxy {
			t.Errorf("%s became %s, %v", test.proxy, text, err)
		}
	}
}
