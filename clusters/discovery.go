package clusters

import (
	"context"
	"net/netip"
	"net/url"
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

// names are the hosts of a cluster's URLs that have to be resolved, with what was
// found last. The lock of the cluster guards them.
type names struct {
	hosts    []string
	resolver Resolver
	answers  map[string]resolution
	// tell is told of look-ups.
	tell func(host string, addrs []netip.Addr, err error)
}

func newNames(urls []*url.URL, opts Options, cluster string) *names {
	n := &names{resolver: opts.Resolver, answers: map[string]resolution{}, tell: func(string, []netip.Addr, error) {}}
	for _, u := range urls {
		if _, ok := literal(u); !ok && !slices.Contains(n.hosts, u.Hostname()) {
			n.hosts = append(n.hosts, u.Hostname())
		}
	}
	if resolved := opts.Trace.Resolved; resolved != nil {
		n.tell = func(host string, addrs []netip.Addr, err error) { resolved(cluster, host, addrs, err) }
	}
	return n
}

// take takes over what others have found, and reports whether that is news.
func (n *names) take(others *names) (changed bool) {
	for _, host := range n.hosts {
		r, known := others.answers[host]
		if known && !slices.Equal(r.addrs, n.answers[host].addrs) {
			n.answers[host], changed = r, true
		}
	}
	return changed
}

// discover resolves the names that are not known yet.
func (n *names) discover(ctx context.Context) {
	unknown := slices.DeleteFunc(slices.Clone(n.hosts), func(host string) bool { return len(n.answers[host].addrs) > 0 })
	answers := make([]resolution, len(unknown))
	var wg sync.WaitGroup
	for i, host := range unknown {
		wg.Go(func() {
			addrs, err := lookup(ctx, n.resolver, host)
			answers[i] = resolution{addrs, err}
			n.tell(host, addrs, err)
		})
	}
	wg.Wait()
	for i, host := range unknown {
		n.answers[host] = answers[i]
	}
}

// due is the time to the next look-up of a host; every is that of one which has
// resolved.
func (n *names) due(host string, every time.Duration) time.Duration {
	if len(n.answers[host].addrs) == 0 {
		every = min(every, unresolvedRefresh)
	}
	return spread(max(every, time.Millisecond), refreshJitter)
}

// refresh resolves the names of the cluster again and again, until ctx ends.
func (c *Cluster) refresh(ctx context.Context) {
	due := func(host string) time.Duration {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.names.due(host, c.cfg.DNSRefresh)
	}
	var wg sync.WaitGroup
	for _, host := range c.names.hosts {
		wg.Go(func() {
			for sleep(ctx, due(host)) {
				addrs, err := lookup(ctx, c.names.resolver, host)
				if ctx.Err() != nil {
					return
				}
				c.resolved(ctx, host, addrs, err)
			}
		})
	}
	wg.Wait()
}

// resolved takes the answer of a look-up.
func (c *Cluster) resolved(ctx context.Context, host string, addrs []netip.Addr, err error) {
	c.mu.Lock()
	last := c.names.answers[host]
	changed := err == nil && !slices.Equal(addrs, last.addrs)
	// ctx ends with mu held, so this cluster is still the committed one.
	if changed && ctx.Err() == nil {
		c.names.answers[host] = resolution{addrs: addrs}
		c.replace(c.build(c.names, c.Endpoints()))
	}
	c.mu.Unlock()
	if changed || err != nil {
		c.names.tell(host, addrs, err)
	}
}
