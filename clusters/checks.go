package clusters

import (
	"context"
	"sync"
)

// checks are the active checks of a cluster. start and stop are called with the
// lock of the cluster held, under which that of the checks is taken.
type checks struct {
	cluster *Cluster

	mu       sync.Mutex
	checkers map[*Endpoint]*checker
}

// sensible reports whether active checks make sense for an endpoint.
func (k *checks) sensible(e *Endpoint) bool { return k.cluster.health != nil && e.unresolved == nil }

// awaited reports whether warm waits for an endpoint. The state of one that serves
// already is no business of a set that might never be committed.
func (k *checks) awaited(e *Endpoint) bool {
	return !e.state.shared.Load() && Health(e.state.verdict.Load()) == Warming && k.sensible(e)
}

// warm waits in wg for the first verdict about each endpoint that has none.
func (k *checks) warm(ctx context.Context, wg *sync.WaitGroup) {
	for _, e := range k.cluster.Endpoints() {
		if k.awaited(e) {
			checker := k.of(e)
			wg.Go(func() { checker.warm(ctx) })
		}
	}
}

// of returns the checker of an endpoint, made if need be. It keeps the endpoint
// alive until it is closed; nil where the endpoint lives no longer.
func (k *checks) of(e *Endpoint) *checker {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.checkers[e]
	if c == nil && e.acquire() {
		c = &checker{cluster: k.cluster, endpoint: e}
		k.checkers[e] = c
	}
	return c
}

// start has an endpoint checked until ctx ends, or stop is called.
func (k *checks) start(ctx context.Context, e *Endpoint) {
	if !k.sensible(e) {
		return
	}
	c := k.of(e)
	if c == nil {
		return
	}
	ctx, c.stop = context.WithCancel(ctx)
	k.cluster.work.Go(func() {
		defer e.release()
		defer c.stop()
		c.run(ctx)
	})
}

// stop ends the checks of an endpoint.
func (k *checks) stop(e *Endpoint) {
	k.mu.Lock()
	c := k.checkers[e]
	delete(k.checkers, e)
	k.mu.Unlock()
	switch {
	case c == nil:
	case c.stop != nil:
		c.stop()
	default: // it only warmed, so its cluster does not close it
		k.cluster.work.Go(func() {
			defer e.release()
			c.close()
		})
	}
}
