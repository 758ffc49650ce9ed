package slot

import (
	"slices"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
)

const (
	// firstPace and maxPace are the shortest and the longest time between two attempts
	// that no client asked for.
	firstPace = time.Second
	maxPace   = 15 * time.Second
)

// pace slows attempts down that keep failing.
type pace struct {
	wait time.Duration // after the last failure; 0: there was none since a success
	next time.Time     // when an attempt may be made without being asked for
}

// note notes how an attempt ended.
func (p *pace) note(err error) {
	if err == nil {
		p.wait = 0
		return
	}
	p.wait = min(max(2*p.wait, firstPace), maxPace)
	p.next = time.Now().Add(p.wait)
}

// reviveLocked opens an upstream session that no call waits for, because notifications
// of the server are expected.
func (s *Slot) reviveLocked() {
	if s.up == nil && s.generation != nil && (s.owner.Listening() || len(s.subs) > 0) {
		_, _ = s.openLocked(s.generation, nil)
	}
}

// Revive does the same where one was lost or never came up, once there is an endpoint
// that is said to be well. It does not wait.
func (s *Slot) Revive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.down || s.generation == nil || time.Now().Before(s.pace.next) {
		return
	}
	if cluster, ok := s.generation.Clusters.Get(s.cfg.Cluster); ok && slices.ContainsFunc(cluster.Endpoints(), (*clusters.Endpoint).Healthy) {
		s.reviveLocked()
	}
}
