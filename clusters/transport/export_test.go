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
	for _, t := range []chooser{cs.short, cs.long} {
		switch t := t.(type) {
		case *lanes:
			for _, lane := range *t.all.Load() {
				add(lane.active.Load(), &lane.crowd)
			}
		case single:
			if t, ok := t.transport.(*http3Transport); ok {
				t.mu.Lock()
				for _, c := range t.conns {
					add(int64(c.active), &c.crowd)
				}
				t.mu.Unlock()
			}
		}
	}
	return active, unanswered, stuck
}
