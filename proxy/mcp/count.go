package mcp

import (
	"errors"

	"github.com/mcpgateway/mcpgateway/listeners"
)

// count is what a route holds.
type count struct {
	sessions   int
	principals map[string]int
	streams    int
}

var (
	errSessions  = errors.New("too many sessions")
	errPrincipal = errors.New("too many sessions of this principal")
)

// admit counts a session in, within the limits of its route.
func (h *Hub) admit(s *session, limits Limits, anonymous bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := h.countLocked(s.route)
	switch {
	case h.closed:
		return errEnded
	case n.sessions >= limits.Sessions:
		return errSessions
	case !anonymous && n.principals[s.principal] >= limits.SessionsPerPrincipal:
		return errPrincipal
	}
	n.sessions++
	n.principals[s.principal]++
	return nil
}

func (h *Hub) countLocked(route string) *count {
	n := h.counts[route]
	if n == nil {
		n = &count{principals: map[string]int{}}
		h.counts[route] = n
	}
	return n
}

// pruneLocked forgets a route that holds nothing.
func (h *Hub) pruneLocked(route string) {
	if n := h.counts[route]; n != nil && n.sessions == 0 && n.streams == 0 {
		delete(h.counts, route)
	}
}

// streamBegun counts an SSE stream to a client until done is called.
func (h *Hub) streamBegun(route string, conn *listeners.Conn) (done func()) {
	h.mu.Lock()
	h.countLocked(route).streams++
	h.mu.Unlock()
	h.opts.Trace.streamOpened(route)
	left := func() {}
	if conn != nil {
		left = conn.Stream()
	}
	return func() {
		left()
		h.mu.Lock()
		h.countLocked(route).streams--
		h.pruneLocked(route)
		h.mu.Unlock()
		h.opts.Trace.streamClosed(route)
	}
}

// Stats are counts of one route.
type Stats struct {
	// Sessions includes those made for clients without one.
	Sessions int
	// Streams are SSE streams to clients.
	Streams int
}

// Stats returns the counts of every route that has a session or a stream.
func (h *Hub) Stats() map[string]Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make(map[string]Stats, len(h.counts))
	for route, n := range h.counts {
		all[route] = Stats{Sessions: n.sessions, Streams: n.streams}
	}
	return all
}
