package transport_test

import (
	"net/http"
	"net/netip"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mcpgateway/mcpgateway/clusters/peertest"
	"github.com/mcpgateway/mcpgateway/clusters/transport"
	"github.com/mcpgateway/mcpgateway/tls"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// upstream says how a server is connected to.
type upstream struct {
	transport.Settings
	transport.Options
	Name string // of the cluster
	URL  string
	TLS  *tls.ClientConfig
}

// cluster returns the upstream at a URL, whose host is an address and a port.
func cluster(t testing.TB, name, url string) upstream {
	t.Helper()
	return upstream{Name: name, URL: url, Settings: transport.Settings{ConnectTimeout: 5 * time.Second, IdleTimeout: 90 * time.Second}}
}

// http3Cluster returns the upstream of a server of HTTP/3.
func http3Cluster(t testing.TB, name string, p *peertest.HTTP3Server, ca *tlstest.CA) upstream {
	t.Helper()
	cfg := cluster(t, name, "https://"+p.Addr+"/mcp")
	cfg.Protocols, cfg.TLS = []string{"h3"}, peertest.Identity(t, ca, "the-client")
	return cfg
}

// client is a pool that counts its exchanges.
type client struct {
	*transport.Pool
	active atomic.Int64
}

// connect returns a pool, which is closed at the end of the test.
func connect(t testing.TB, to upstream) *client {
	t.Helper()
	u, err := url.Parse(to.URL)
	if err != nil {
		t.Fatal(err)
	}
	addr, err := netip.ParseAddrPort(u.Host)
	if err != nil {
		t.Fatal(err)
	}
	var identity *tls.Client
	if u.Scheme == "https" {
		if identity, err = tls.NewClient(to.TLS); err != nil {
			t.Fatal(err)
		}
	}
	c := new(client)
	c.Pool = transport.NewPool(transport.NewConnector(to.Name, identity, to.Settings, to.Options), transport.Target{Endpoint: to.URL, URL: u, Address: addr.String()}, c)
	t.Cleanup(c.Close)
	return c
}

// Begin and End implement transport.User.
func (c *client) Begin() bool { c.active.Add(1); return true }
func (c *client) End()        { c.active.Add(-1) }

func (c *client) RoundTrip(req *http.Request) (*http.Response, error) { return c.Send(req, 0) }

// Active is the number of requests in flight.
func (c *client) Active() int { return int(c.active.Load()) }
