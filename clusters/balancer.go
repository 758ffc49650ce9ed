package clusters

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// balancer chooses among endpoints that are equally good.
type balancer struct {
	roundRobin bool
	checked    bool // the verdicts of checks count
	next       atomic.Uint64
}

func (b *balancer) choose(from []*Endpoint) *Endpoint {
	n := len(from)
	if n == 1 {
		return from[0]
	}
	if b.roundRobin {
		return from[(b.next.Add(1)-1)%uint64(n)]
	}
	// Power of two choices: nearly as good as looking at all, without every
	// gateway rushing to the same idle endpoint.
	i := rand.IntN(n)
	j := rand.IntN(n - 1)
	if j >= i {
		j++
	}
	if from[j].Active() < from[i].Active() {
		i = j
	}
	return from[i]
}

// Pick chooses the endpoint for new work, not one of exclude. The error wraps
// ErrNoHealthyUpstream and says what is wrong with the endpoints.
func (c *Cluster) Pick(exclude ...*Endpoint) (*Endpoint, error) {
	var few [16]*Endpoint // saves an allocation for most clusters
	candidates := c.balancer.candidates(few[:0], c.Endpoints(), exclude)
	if len(candidates) == 0 {
		return nil, noHealthyUpstream(c.cfg.Name, c.Endpoints())
	}
	return c.balancer.choose(candidates), nil
}

// candidates appends to list those of all endpoints that are equally best.
func (b *balancer) candidates(list, all, exclude []*Endpoint) []*Endpoint {
	best, now := noTraffic, time.Now().UnixNano()
	for _, e := range all {
		r := b.rank(e, now)
		if r > best || r == noTraffic || slices.Contains(exclude, e) {
			continue
		}
		if r < best {
			best, list = r, list[:0]
		}
		list = append(list, e)
	}
	return list
}

// noTraffic is the rank of endpoints that take no traffic at all.
const noTraffic = 4

// rank orders endpoints by how gladly they are given traffic, best first.
func (b *balancer) rank(e *Endpoint, now int64) int {
	if e.unresolved != nil {
		return noTraffic
	}
	r := 0
	if b.checked {
		switch Health(e.state.verdict.Load()) {
		case Unhealthy:
			return noTraffic
		case Warming:
			r = 1
		}
	}
	if e.avoid.Load() > now {
		r += 2
	}
	return r
}

func noHealthyUpstream(cluster string, all []*Endpoint) error {
	const most = 3
	var why []string
	for i, e := range all {
		if i == most {
			why = append(why, fmt.Sprintf("and %d more", len(all)-most))
			break
		}
		st := e.Status()
		text := e.id + " is " + st.Health.String()
		if st.LastError != nil {
			text += ": " + st.LastError.Error()
		}
		why = append(why, text)
	}
	return fmt.Errorf("cluster %s: %w (%s)", cluster, ErrNoHealthyUpstream, strings.Join(why, "; "))
}
