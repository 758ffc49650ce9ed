package clusters

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// resolution is the last answer for a name.
type resolution struct {
	addrs []netip.Addr
	// err is why there are no addresses. A failing refresh keeps the last ones.
	err error
}

const (
	// refreshJitter, in percent, keeps many names from being asked at once.
	refreshJitter = 10
	// unresolvedRefresh is how soon a name that has never resolved is asked
	// again.
	unresolvedRefresh = time.Second
)

// names lists the hosts of the cluster that have to be resolved.
func (c *Cluster) names() []string {
	var names []string
	for _, u := range c.urls {
		if _, ok := literal(u); !ok && !slices.Contains(names, u.Hostname()) {
			names = append(names, u.Hostname())
		}
	}
	return names
}

// discover resolves the names that are not known yet.
func (c *Cluster) discover(ctx context.Context) {
	unknown := slices.DeleteFunc(c.names(), func(host string) bool { return len(c.addresses[host].addrs) > 0 })
	answers := make([]resolution, len(unknown))
	var wg sync.WaitGroup
	for i, host := range unknown {
		wg.Go(func() {
			addrs, err := lookup(ctx, c.opts.Resolver, host)
			answers[i] = resolution{addrs, err}
			c.tellResolved(host, addrs, err)
		})
	}
	wg.Wait()
	for i, host := range unknown {
		c.addresses[host] = answers[i]
	}
}

// refresh resolves the names again and again, until ctx ends.
func (c *Cluster) refresh(ctx context.Context, hosts []string) {
	var wg sync.WaitGroup
	for _, host := range hosts {
		wg.Go(func() {
			for sleep(ctx, c.refreshIn(host)) {
				addrs, err := lookup(ctx, c.opts.Resolver, host)
				if ctx.Err() != nil {
					return
				}
				c.resolved(ctx, host, addrs, err)
			}
		})
	}
	wg.Wait()
}

func (c *Cluster) refreshIn(host string) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.cfg.DNSRefresh
	if len(c.addresses[host].addrs) == 0 {
		d = min(d, unresolvedRefresh)
	}
	return spread(max(d, time.Millisecond), refreshJitter)
}

// resolved takes the answer of a look-up.
func (c *Cluster) resolved(ctx context.Context, host string, addrs []netip.Addr, err error) {
	c.mu.Lock()
	last := c.addresses[host]
	changed := err == nil && !slices.Equal(addrs, last.addrs)
	// ctx ends with mu held, so this cluster is still the committed one.
	if changed && ctx.Err() == nil {
		c.addresses[host] = resolution{addrs: addrs}
		c.replace(c.build(c.Endpoints()))
	}
	c.mu.Unlock()
	if changed || err != nil {
		c.tellResolved(host, addrs, err)
	}
}

func (c *Cluster) tellResolved(host string, addrs []netip.Addr, err error) {
	if t := c.opts.Trace; t != nil && t.Resolved != nil {
		t.Resolved(c.cfg.Name, host, addrs, err)
	}
}
