package listeners

import (
	"io"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mcpgateway/mcpgateway/internal/descriptors"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
)

func perClient(n int) func(*Config) {
	return limits(func(l *Limits) { l.MaxConnectionsPerAddress = n })
}

// serves fails the test unless the connection is served.
func (c *h1) served() {
	c.t.Helper()
	c.get("/")
	c.answer()
}

func TestConnectionsOfAnAddressAreBounded(t *testing.T) {
	f := newFixture(t, hello, plain, perClient(2))
	first, second := f.h1(), f.h1()
	first.served()
	second.served()
	// A new definition does not double the limit.
	f.socket.Serve(f.newServer(hello))
	f.h1().ended()
	if reasons := f.trace.reasons(); !slices.Equal(reasons, []string{"max_connections_per_address"}) {
		t.Errorf("rejected for %v", reasons)
	}
	first.Close()
	testkit.Eventually(t, "the place is free again", func() bool { return f.socket.places.open.Load() == 1 })
	f.h1().served()
}

func TestClientsBehindALoadBalancerAreBoundedEach(t *testing.T) {
	f := newFixture(t, hello, plain, perClient(1), behindProxy("127.0.0.0/8"))
	throughProxy := func(header string) *h1 {
		c := f.h1()
		c.send(header)
		return c
	}
	throughProxy("PROXY TCP4 192.0.2.1 198.51.100.1 1 443\r\n").served()
	throughProxy("PROXY TCP4 192.0.2.2 198.51.100.1 1 443\r\n").served()
	// One whose address is that of a load balancer is a client all the same.
	throughProxy("PROXY TCP4 127.0.0.9 198.51.100.1 1 443\r\n").served()
	throughProxy("PROXY TCP6 2001:db8::1 2001:db8:1::1 1 443\r\n").served()
	for range 3 { // the load balancer's own health checks
		throughProxy("PROXY UNKNOWN\r\n").served()
	}
	if reasons := f.trace.reasons(); len(reasons) > 0 {
		t.Fatalf("rejected for %v", reasons)
	}
	throughProxy("PROXY TCP4 192.0.2.1 198.51.100.1 2 443\r\n").ended()
	throughProxy("PROXY TCP4 127.0.0.9 198.51.100.1 2 443\r\n").ended()
	throughProxy("PROXY TCP6 2001:db8::2 2001:db8:1::1 2 443\r\n").ended()
	if reasons := f.trace.reasons(); !slices.Equal(reasons, slices.Repeat([]string{"max_connections_per_address"}, 3)) {
		t.Errorf("rejected for %v", reasons)
	}
}

func TestConnectionsOfManyClientsAreNotBoundedPerAddress(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no limit":          perClient(0),
		"a trusted proxy":   func(c *Config) { c.TrustedProxies = []TrustedProxy{{prefix: netip.MustParsePrefix("127.0.0.0/8")}} },
		"a unix socket":     func(c *Config) { c.Address = "unix:" + filepath.Join(t.TempDir(), "s") },
		"an upstream proxy": behindProxy("127.0.0.0/8"),
	} {
		f := newFixture(t, hello, plain, perClient(1), change)
		for range 3 {
			c := f.h1()
			if name == "an upstream proxy" {
				c.send("PROXY UNKNOWN\r\n")
			}
			c.served()
		}
		if reasons := f.trace.reasons(); len(reasons) > 0 {
			t.Errorf("%s: rejected for %v", name, reasons)
		}
	}
}

func TestHTTP3ConnectionsOfAnAddressAreBounded(t *testing.T) {
	f := newFixture(t, echoes, withHTTP3, perClient(1))
	first := f.quic(f.clientTLS(nil))
	first.stream(t).works()
	if _, err := f.quic(f.clientTLS(nil)).Get("https://localhost/"); err == nil {
		t.Error("a second one is served")
	}
	if got := f.trace.reasons(); len(got) == 0 || got[0] != "max_connections_per_address" {
		t.Errorf("rejected for %v", got)
	}
	_ = first.last().CloseWithError(0, "")
	testkit.Eventually(t, "the place is free again", func() bool {
		f.socket.places.mu.Lock()
		defer f.socket.places.mu.Unlock()
		return len(f.socket.places.byClient) == 0
	})
	if res, err := f.quic(f.clientTLS(nil)).Get("https://localhost/"); err != nil {
		t.Error(err)
	} else if res.Body.Close(); res.StatusCode != http.StatusOK {
		t.Error(res.Status)
	}
}

func TestConnectionsOfIPv6AreCountedByTheirSite(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.7":            "192.0.2.7/32",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"2001:db8:1:2::9":      "2001:db8:1:2::/64",
		"fe80::1%eth0":         "fe80::/64",
		"2001:db8:1:3:3:4:5:6": "2001:db8:1:3::/64",
	} {
		c := &Conn{server: &Server{}, remote: netip.AddrPortFrom(netip.MustParseAddr(addr), 1)}
		if got := c.clientPrefix(); got.String() != want {
			t.Errorf("%s is counted by %s", addr, got)
		}
	}
}

func TestClientsLeaveSomeDescriptorsAlone(t *testing.T) {
	f := newFixture(t, hello, plain)
	f.socket.mu.Lock()
	f.socket.places.reserve = descriptors.New(128)
	f.socket.mu.Unlock()
	var held []*h1
	for len(f.trace.reasons()) == 0 {
		if len(held) == 128 {
			t.Fatal("all are let in")
		}
		c := f.h1()
		_, _ = io.WriteString(c.Conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if _, err := c.r.Peek(1); err != nil {
			break // it was refused
		}
		c.answer()
		held = append(held, c)
	}
	testkit.Eventually(t, "the refusal is told", func() bool { return slices.Equal(f.trace.reasons(), []string{"descriptors"}) })
	held[0].served()
	for _, c := range held[1:] {
		c.Close()
	}
	testkit.Eventually(t, "the others are gone", func() bool { return f.socket.places.open.Load() == 1 })
	f.h1().served()
}
