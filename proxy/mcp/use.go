package mcp

import (
	"slices"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters/process"
)

// enter counts an HTTP request, during which the session is not idle, and
// makes the session follow the route's generation. It reports false when
// the session has ended.
func (s *session) enter(route *Route) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || !s.useLocked() {
		return false
	}
	if route.seq > s.current.seq {
		s.current = route
	}
	s.active++
	return true
}

// useLocked keeps the session from being evicted, and the processes of its
// servers from being stopped for others. It reports false when the session was
// evicted a moment before.
func (s *session) useLocked() bool {
	if s.active > 0 || s.pending > 0 {
		return true
	}
	if s.holder != nil && !s.holder.use(s) {
		return false
	}
	for _, p := range s.processes {
		p.Use()
	}
	return true
}

// restLocked lets the session be evicted, and the processes of its servers be
// stopped, if nothing uses it any more.
func (s *session) restLocked() {
	s.last = time.Now()
	if s.active > 0 || s.pending > 0 {
		return
	}
	if s.holder != nil {
		s.holder.rest(s)
	}
	for _, p := range s.processes {
		p.Rest()
	}
}

// own makes a server's process rest when the session does: it may be stopped
// where another session needs its place.
func (s *session) own(p *process.Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.processes = append(s.processes, p)
	if s.active == 0 && s.pending == 0 {
		p.Rest()
	}
}

func (s *session) disown(p *process.Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.processes = slices.DeleteFunc(s.processes, func(other *process.Process) bool { return other == p })
}

// exit ends what enter began.
func (s *session) exit() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active--
	s.restLocked()
}

// idle reports whether nothing happened for longer than the route allows.
func (s *session) idle(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	unused := s.active == 0 && s.pending == 0
	if s.line != nil {
		// Its stream is used for as long as it lasts, once it has begun.
		unused = !s.line.begun()
	}
	return unused && now.Sub(s.last) > s.current.Timeouts.SessionIdle
}
