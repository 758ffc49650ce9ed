package transport

// Crowds are the requests, the bytes that were not answered and the stuck bodies
// that are counted on all connections of the pool's present set.
func (p *Pool) Crowds() (active, unanswered, stuck int64) {
	p.mu.Lock()
	cs := p.current
	p.mu.Unlock()
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
