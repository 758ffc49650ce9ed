package clusters_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/clusters/peertest"
)

// names is a Resolver that knows what the test says.
type names struct {
	mu    sync.Mutex
	known map[string][]string
	asked int
}

func (n *names) set(host string, addrs ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known == nil {
		n.known = map[string][]string{}
	}
	n.known[host] = addrs
}

func (n *names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked++
	list, ok := n.known[host]
	if !ok {
		return nil, fmt.Errorf("lookup %s: no such host", host)
	}
	var addrs []netip.Addr
	for _, a := range list {
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	return addrs, nil
}

func ids(c *clusters.Cluster) string {
	var ids []string
	for _, e := range c.Endpoints() {
		ids = append(ids, e.ID())
	}
	return strings.Join(ids, " ")
}

func TestEveryAddressOfANameIsAnEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := new(names)
		dns.set("a.test", "192.0.2.2", "192.0.2.1", "::ffff:192.0.2.1")
		dns.set("b.test", "2001:db8::1")
		set := newSet(t, clusters.Options{Resolver: dns}, cluster(t, "c", "http://a.test:8080/mcp", "http://B.test/mcp", "http://192.0.2.9/mcp"))
		c := get(t, set, "c")
		if got, want := ids(c), "http://a.test:8080/mcp@192.0.2.1 http://a.test:8080/mcp@192.0.2.2 http://b.test/mcp@2001:db8::1 http://192.0.2.9/mcp"; got != want {
			t.Errorf("endpoints are %s", got)
		}
		e, ok := c.Endpoint("http://b.test/mcp@2001:db8::1")
		if !ok || e.Address() != "[2001:db8::1]:80" || e.URL().Host != "b.test" || c.Path() != "/mcp" {
			t.Errorf("%v, %v", e, ok)
		}
	})
}

func TestAddressesFollowTheName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := new(names)
		dns.set("a.test", "192.0.2.1", "192.0.2.2")
		p := newPatient()
		cfg := cluster(t, "c", "http://a.test")
		cfg.HealthCheck = checks(t, "mcp")
		set := newSet(t, clusters.Options{Resolver: dns, Probers: mcp(p)}, cfg)
		c := get(t, set, "c")
		synctest.Wait()
		gone, stays := c.Endpoints()[0], c.Endpoints()[1]
		dns.set("a.test", "192.0.2.2", "192.0.2.3")
		time.Sleep(40 * time.Second)
		if got := ids(c); got != "http://a.test@192.0.2.2 http://a.test@192.0.2.3" {
			t.Errorf("endpoints are %s", got)
		}
		if !retired(gone) || retired(stays) || c.Endpoints()[0] != stays {
			t.Error("the wrong endpoint went")
		}
		if !c.Endpoints()[1].Healthy() {
			t.Error("the new address is not checked")
		}
		dns.mu.Lock()
		delete(dns.known, "a.test")
		dns.mu.Unlock()
		before := ids(c)
		time.Sleep(5 * time.Minute)
		if ids(c) != before {
			t.Error("a failing refresh changed the addresses")
		}
	})
}

func TestANameThatDoesNotResolveIsAnUnhealthyEndpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := new(names)
		set := newSet(t, clusters.Options{Resolver: dns}, cluster(t, "c", "http://a.test"))
		c := get(t, set, "c")
		list := c.Endpoints()
		if len(list) != 1 || list[0].Healthy() || !list[0].Unhealthy() || list[0].Status().Health != clusters.Unresolved {
			t.Errorf("%+v", list[0].Status())
		}
		_, err := c.RoundTrip(peertest.Request(t, "GET", "/", ""))
		if !errors.Is(err, clusters.ErrNoHealthyUpstream) || !strings.Contains(err.Error(), "no such host") {
			t.Errorf("got %v", err)
		}
		dns.set("a.test", "192.0.2.1")
		time.Sleep(2 * time.Second)
		if got := ids(c); got != "http://a.test@192.0.2.1" || !c.Endpoints()[0].Healthy() {
			t.Errorf("endpoints are %s", got)
		}
	})
}

func TestAReloadDoesNotAskForKnownNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := new(names)
		dns.set("a.test", "192.0.2.1")
		opts := clusters.Options{Resolver: dns}
		first := newSet(t, opts, cluster(t, "c", "http://a.test"))
		cfg := cluster(t, "c", "http://a.test")
		cfg.Balancing = "round_robin"
		second := prepare(t, first, opts, cfg)
		if dns.asked != 1 {
			t.Errorf("asked %d times", dns.asked)
		}
		// What the old set learns while the new one is prepared is not lost.
		dns.set("a.test", "192.0.2.1", "192.0.2.2")
		time.Sleep(time.Minute)
		second.Commit()
		if got := ids(get(t, second, "c")); got != "http://a.test@192.0.2.1 http://a.test@192.0.2.2" {
			t.Errorf("endpoints are %s", got)
		}
		release(t, first)
		for _, e := range get(t, second, "c").Endpoints() {
			if retired(e) {
				t.Errorf("%s is retired", e.ID())
			}
		}
	})
}

// Its addresses were of the time when it left.
func TestANameThatComesBackIsAskedForAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := new(names)
		dns.set("a.test", "192.0.2.1")
		opts := clusters.Options{Resolver: dns}
		set := newSet(t, opts, cluster(t, "c", "http://a.test"))
		for _, url := range []string{"http://192.0.2.9", "http://a.test"} {
			next := prepare(t, set, opts, cluster(t, "c", url))
			next.Commit()
			release(t, set)
			set = next
			dns.set("a.test", "192.0.2.2")
		}
		if got := ids(get(t, set, "c")); got != "http://a.test@192.0.2.2" {
			t.Errorf("endpoints are %s", got)
		}
	})
}

func TestTrafficPassesOverADeadAddressOfAName(t *testing.T) {
	server := peertest.Serve(t, "", nil, http.HandlerFunc(peertest.Echo))
	dns := new(names)
	dns.set("a.test", "127.0.0.1", "127.0.0.2") // nothing listens on the second
	c := get(t, newSet(t, clusters.Options{Resolver: dns}, cluster(t, "c", "http://a.test:"+server.Port())), "c")
	for range 20 {
		res, err := c.RoundTrip(peertest.Request(t, "POST", "/", "payload"))
		if err != nil {
			t.Fatal(err)
		}
		if got := peertest.Read(t, res); !strings.HasSuffix(got, "payload") {
			t.Fatalf("arrived: %q", got)
		}
	}
	if st := c.Endpoints()[1].Status(); st.Requests > 1 {
		t.Errorf("the dead address was tried %d times", st.Requests)
	}
}
