package clusters

import "time"

// Delay returns how long after now a process of the command may be started for
// owner, and why that is refused.
func (e *Endpoint) Delay(owner *Backoff, now time.Time) (time.Duration, error) {
	return e.command.delay(owner, now)
}

// CommandBackoff is that of all who start processes of the command.
func (e *Endpoint) CommandBackoff() *Backoff { return &e.command.backoff }

// Failed takes note of a process that ended by itself.
func (b *Backoff) Failed(err error, now time.Time) { b.failed(err, 0, now) }

// Crowds are the requests, the bytes that were not answered and the stuck bodies
// that are counted on all connections of the endpoint's present set.
func (e *Endpoint) Crowds() (active, unanswered, stuck int64) {
	e.pool.mu.Lock()
	cs := e.pool.current
	e.pool.mu.Unlock()
	if cs == nil {
		return 0, 0, 0
	}
	add := func(n int64, c *crowd) {
		active, unanswered, stuck = active+n, unanswered+c.unanswered.Load(), stuck+c.stuck.Load()
	}
	for _, l := range []*lanes{cs.lanes, cs.longLanes} {
		if l != nil {
			for _, lane := range *l.all.Load() {
				add(lane.active.Load(), &lane.crowd)
			}
		}
	}
	for _, t := range []transport{cs.main, cs.longMain} {
		if t, ok := t.(*http3Transport); ok {
			t.mu.Lock()
			for _, c := range t.conns {
				add(int64(c.active), &c.crowd)
			}
			t.mu.Unlock()
		}
	}
	return active, unanswered, stuck
}
