package clusters

import (
	"context"
	"slices"
	"sync"
)

// commit puts a prepared cluster in force; old, which may be nil, is the one
// that it replaces, and has been stopped.
func (c *Cluster) commit(old *Cluster) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old != nil {
		c.succeed(old)
	}
	for _, e := range c.Endpoints() {
		c.own(e)
	}
	c.running, c.stopRun = context.WithCancel(context.Background())
	for _, e := range c.Endpoints() {
		c.checks.start(c.running, e)
	}
	if len(c.names.hosts) > 0 {
		ctx := c.running
		c.work.Go(func() { c.refresh(ctx) })
	}
}

// succeed takes over what the DNS refresh of old found while c was prepared, and
// takes back what the checks of old have found to be ill, where c reaches it in
// another way. Called with mu held.
func (c *Cluster) succeed(old *Cluster) {
	old.mu.Lock()
	changed := c.names.take(old.names)
	old.mu.Unlock()
	if changed {
		c.replace(c.build(c.names, slices.Concat(c.Endpoints(), old.Endpoints())))
	}
	same := sync.OnceValue(func() bool { return c.cfg.reachFingerprint() == old.cfg.reachFingerprint() })
	for _, e := range c.Endpoints() {
		s := e.state
		if s.shared.Load() && s.health() == Unhealthy && (!same() || c.query(e.url) != old.query(e.url)) {
			s.forget()
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

// replace swaps the list of endpoints. Called with mu held; list carries a
// reference for each endpoint.
func (c *Cluster) replace(list []*Endpoint) {
	old := c.Endpoints()
	c.endpoints.Store(&list)
	for _, e := range list {
		if c.running != nil && !slices.Contains(old, e) {
			c.own(e)
			c.checks.start(c.running, e)
		}
	}
	for _, e := range old {
		if !slices.Contains(list, e) {
			c.checks.stop(e)
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
		c.checks.stop(e)
	}
}

// release is called when a set no longer refers to the cluster.
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
		c.checks.stop(e)
		c.disown(e)
		e.release()
	}
}
