package clusters

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"
)

// hurryInterval is the longest time between checks while a verdict is due.
const hurryInterval = 500 * time.Millisecond

// checker runs the active checks of one endpoint for one cluster. It is used by
// one goroutine at a time: by Warm before the commit, by its own after it.
type checker struct {
	cluster  *Cluster
	endpoint *Endpoint
	probe    Probe              // nil before the checks begin, and after a panic
	stop     context.CancelFunc // ends its own goroutine; nil before the commit
}

// warm checks until there is a verdict or ctx ends.
func (k *checker) warm(ctx context.Context) {
	for wait := time.Duration(0); Health(k.endpoint.state.verdict.Load()) == Warming && sleep(ctx, wait); {
		wait = k.step(ctx)
	}
}

// run checks until ctx ends, and then closes the probe.
func (k *checker) run(ctx context.Context) {
	defer k.close()
	if k.probe == nil {
		k.probe = k.newProbe()
	}
	wait := time.Duration(0)
	if Health(k.endpoint.state.verdict.Load()) == Healthy {
		// What is known to be well can wait, and a reload must not make all
		// endpoints be checked in the same moment. What was ill may have been
		// cured by this very reload.
		wait = time.Duration(rand.Float64() * float64(k.cluster.health.Interval))
	}
	for sleep(ctx, wait) {
		wait = k.step(ctx)
	}
}

// newProbe returns a probe of what health checks go through.
func (k *checker) newProbe() Probe {
	e := k.endpoint
	if e.checks != nil {
		e = e.checks
	}
	return k.cluster.prober.NewProbe(k.cluster, e)
}

// step makes one check and returns the time to the next.
func (k *checker) step(ctx context.Context) time.Duration {
	h := k.cluster.health
	err := k.check(ctx, h.Timeout)
	if ctx.Err() != nil {
		return 0 // cut short: that says nothing about the endpoint
	}
	s := k.endpoint.state
	if errors.Is(err, ErrStarting) {
		s.starting(err)
		return min(h.Interval, hurryInterval)
	}
	changed, hurry := s.observe(err, h)
	now := Health(s.verdict.Load())
	if notify := k.cluster.opts.Trace.Health; changed && notify != nil {
		notify(k.cluster.cfg.Name, k.endpoint.id, now == Healthy, err)
	}
	if hurry && h.Interval > hurryInterval {
		return hurryInterval
	}
	return spread(h.Interval, float64(h.Jitter))
}

// check makes one check. A probe that panics has failed, no more.
func (k *checker) check(ctx context.Context, timeout time.Duration) (err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			k.close() // sessions may wait for what it has started
			k.probe = nil
			err = fmt.Errorf("the health check panicked: %v\n%s", p, debug.Stack())
		}
	}()
	if k.probe == nil {
		k.probe = k.newProbe()
	}
	return k.probe.Check(ctx)
}

// close ends the probe, within the time of one check.
func (k *checker) close() {
	if k.probe == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), k.cluster.health.Timeout)
	defer cancel()
	defer func() { _ = recover() }()
	k.probe.Close(ctx)
	k.probe = nil
}

// spread adds or takes away a random share, in percent, of d.
func spread(d time.Duration, percent float64) time.Duration {
	return d + time.Duration((rand.Float64()*2-1)*percent/100*float64(d))
}

// sleep waits for d and reports whether ctx let it.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
