package clusters

import (
	"context"
	"slices"
	"sync"
	"time"
)

// warm waits for the first verdict about each endpoint that has none.
func (c *Cluster) warm(ctx context.Context) {
	if c.health == nil {
		return
	}
	var wg sync.WaitGroup
	c.mu.Lock()
	for _, e := range c.Endpoints() {
		if !c.warms(e) {
			continue
		}
		k := c.checker(e)
		wg.Go(func() { k.warm(ctx) })
	}
	c.mu.Unlock()
	wg.Wait()
}

// warms reports whether warm waits for the endpoint. The state of one that serves
// already is no business of a set that might never be committed.
func (c *Cluster) warms(e *Endpoint) bool {
	return !e.state.shared.Load() && Health(e.state.verdict.Load()) == Warming && c.checkable(e)
}

// isWarming reports whether one of the endpoints warms.
func (c *Cluster) isWarming() bool { return slices.ContainsFunc(c.Endpoints(), c.warms) }

// checkable reports whether active checks make sense for an endpoint.
func (c *Cluster) checkable(e *Endpoint) bool { return c.health != nil && e.unresolved == nil }

// checker returns the checker of an endpoint, made if need be. It keeps the
// endpoint alive until it is closed. Called with mu held.
func (c *Cluster) checker(e *Endpoint) *running {
	k := c.checkers[e]
	if k == nil && e.acquire() {
		k = &running{checker: &checker{cluster: c, endpoint: e}}
		c.checkers[e] = k
	}
	return k
}

// commit puts a prepared cluster in force; old, which may be nil, is the one
// that it replaces, and has been stopped.
func (c *Cluster) commit(old *Cluster) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old != nil {
		c.catchUp(old)
		c.doubt(old)
	}
	for _, e := range c.Endpoints() {
		c.own(e)
	}
	c.running, c.stopRun = context.WithCancel(context.Background())
	for _, e := range c.Endpoints() {
		c.startChecker(e)
	}
	if hosts := c.names(); len(hosts) > 0 {
		ctx := c.running
		c.work.Go(func() { c.refresh(ctx, hosts) })
	}
}

// catchUp takes over what the DNS refresh of old found while c was prepared.
func (c *Cluster) catchUp(old *Cluster) {
	old.mu.Lock()
	changed := false
	for _, host := range c.names() {
		r, known := old.addresses[host]
		if known && !slices.Equal(r.addrs, c.addresses[host].addrs) {
			c.addresses[host], changed = r, true
		}
	}
	old.mu.Unlock()
	if changed {
		c.replace(c.build(slices.Concat(c.Endpoints(), old.Endpoints())))
	}
}

// doubt takes back what the checks of old have found to be ill, where this
// cluster reaches it in another way. Called with mu held.
func (c *Cluster) doubt(old *Cluster) {
	same := sync.OnceValue(func() bool { return c.cfg.reachFingerprint() == old.cfg.reachFingerprint() })
	for _, e := range c.Endpoints() {
		s := e.state
		if s.shared.Load() && s.health() == Unhealthy && (!same() || c.query(e.url) != old.query(e.url)) {
			s.settle(Warming, nil, time.Now())
		}
	}
}

// own makes this cluster the one whose settings an endpoint follows.
func (c *Cluster) own(e *Endpoint) {
	e.owner.Store(c)
	c.configure(e)
	e.state.shared.Store(true)
	e.state.setChecked(c.health != nil)
}

func (c *Cluster) startChecker(e *Endpoint) {
	if !c.checkable(e) {
		return
	}
	k := c.checker(e)
	if k == nil {
		return
	}
	ctx, stop := context.WithCancel(c.running)
	k.stop = stop
	c.work.Go(func() {
		defer e.release()
		defer stop()
		k.run(ctx)
	})
}

// stopChecker ends the checker of an endpoint. Called with mu held.
func (c *Cluster) stopChecker(e *Endpoint) {
	k := c.checkers[e]
	if k == nil {
		return
	}
	delete(c.checkers, e)
	if k.stop != nil {
		k.stop()
		return
	}
	// It only warmed, so its cluster does not close it.
	c.work.Go(func() {
		defer e.release()
		k.close()
	})
}

// replace swaps the list of endpoints. Called with mu held; list carries a
// reference for each endpoint.
func (c *Cluster) replace(list []*Endpoint) {
	old := c.Endpoints()
	c.endpoints.Store(&list)
	for _, e := range list {
		if c.running != nil && !slices.Contains(old, e) {
			c.own(e)
			c.startChecker(e)
		}
	}
	for _, e := range old {
		if !slices.Contains(list, e) {
			c.stopChecker(e)
			c.disown(e)
		}
		e.release()
	}
}

// disown retires an endpoint unless another committed cluster has taken it.
func (c *Cluster) disown(e *Endpoint) {
	if e.owner.CompareAndSwap(c, nil) {
		e.retire()
	}
}

// stop ends the checks and the DNS refresh: another set is committed, or none.
func (c *Cluster) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running == nil {
		return
	}
	c.stopRun()
	c.running = nil
	for _, e := range c.Endpoints() {
		c.stopChecker(e)
	}
}

// retain and release count the sets that refer to the cluster.
func (c *Cluster) retain() {
	c.mu.Lock()
	c.sets++
	c.mu.Unlock()
}

func (c *Cluster) release() {
	c.mu.Lock()
	c.sets--
	last := c.sets == 0 && !c.closed
	c.closed = c.closed || last
	c.mu.Unlock()
	if !last {
		return
	}
	c.stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.Endpoints() {
		c.stopChecker(e)
		c.disown(e)
		e.release()
	}
}
