package session

import (
	"net/http"

	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// count is what a route holds.
type count struct {
	sessions int // those for single calls included
	slots    int // that sessions take
	holders  map[string]*holder
	kept     idleList // sessions for single calls that are not in use
	streams  int
}

// Why a client gets no session, or no stream.
var (
	errClosed    = internal(http.StatusServiceUnavailable, filter.FlagOverload, errEnded.Error())
	errSessions  = internal(http.StatusServiceUnavailable, filter.FlagOverload, "too many sessions")
	errPrincipal = internal(http.StatusTooManyRequests, filter.FlagOverload, "too many sessions of this principal")
	errStreams   = &Failure{Answer: spec.Error{Status: http.StatusTooManyRequests, Code: jsonrpc.CodeInvalidRequest, Text: "too many streams of this session"}, flag: filter.FlagOverload}
)

// admit gives a session one of the slots of its route. Where none is free the
// session that has been idle longest is evicted: one of the same principal, or
// where only the route's slots have run out, an anonymous one. A client that
// forgets its sessions, as most do, would else be kept out by them until they
// have been idle for long enough, and others with it. The session is in use until
// its exit.
func (r *Registry) admit(s *session, route *Route) error {
	victims, err := r.slot(s, route.Limits)
	for _, victim := range victims {
		victim.end("evicted", errEnded)
	}
	if err != nil {
		s.life.cancel(err)
		return err
	}
	s.life.enter(route)
	return nil
}

// slot does what admit does. The sessions that it returns have lost their
// slots, and must be ended.
func (r *Registry) slot(s *session, limits Limits) (victims []*session, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, errClosed
	}
	n := r.countLocked(s.route)
	defer r.pruneLocked(s.route)
	own := n.holderLocked(s.principal)
	defer n.disownLocked(s.principal)
	for s.principal != anonymousKey && own.slots >= limits.SessionsPerPrincipal {
		victim := own.evict()
		if victim == nil {
			return victims, errPrincipal
		}
		victims = append(victims, victim)
		n.vacateLocked(victim)
	}
	for n.slots >= limits.Sessions {
		victim := own.evict()
		if others := n.holders[anonymousKey]; victim == nil && others != nil {
			victim = others.evict()
		}
		if victim == nil {
			return victims, errSessions
		}
		victims = append(victims, victim)
		n.vacateLocked(victim)
	}
	if victims, err = r.chargeLocked(s, n, own, victims); err != nil {
		return victims, err
	}
	s.holder, s.slot = own, true
	own.slots++
	n.slots++
	n.sessions++
	return victims, nil
}

// anonymousKey is the principal of all clients that are not authenticated.
const anonymousKey = string(filter.Anonymous)

// vacateLocked takes a session's slot back.
func (n *count) vacateLocked(s *session) {
	if s.slot {
		s.slot = false
		s.holder.slots--
		n.slots--
	}
}

// uncountLocked takes back what counted the session.
func (r *Registry) uncountLocked(s *session) {
	r.unkeepLocked(s)
	n := r.countLocked(s.route)
	n.sessions--
	if s.holder != nil {
		s.holder.part(s)
		n.vacateLocked(s)
		n.disownLocked(s.principal)
	}
	r.pruneLocked(s.route)
}

func (n *count) holderLocked(principal string) *holder {
	o := n.holders[principal]
	if o == nil {
		o = new(holder)
		n.holders[principal] = o
	}
	return o
}

// disownLocked forgets a principal that has no session.
func (n *count) disownLocked(principal string) {
	if o := n.holders[principal]; o != nil && o.slots == 0 && o.kept.count == 0 {
		delete(n.holders, principal)
	}
}

func (r *Registry) countLocked(route string) *count {
	n := r.counts[route]
	if n == nil {
		n = &count{holders: map[string]*holder{}, kept: idleList{which: inRoute}}
		r.counts[route] = n
	}
	return n
}

// pruneLocked forgets a route that holds nothing.
func (r *Registry) pruneLocked(route string) {
	if n := r.counts[route]; n != nil && n.sessions == 0 && n.streams == 0 {
		delete(r.counts, route)
	}
}

// StreamBegun counts a stream to a client until done is called.
func (r *Route) StreamBegun() (done func()) {
	count := func(n int) {
		r.registry.mu.Lock()
		defer r.registry.mu.Unlock()
		r.registry.countLocked(r.Name).streams += n
		r.registry.pruneLocked(r.Name)
	}
	count(1)
	r.registry.opts.Trace.streamOpened(r.Name)
	return func() {
		count(-1)
		r.registry.opts.Trace.streamClosed(r.Name)
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
func (r *Registry) Stats() map[string]Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(map[string]Stats, len(r.counts))
	for route, n := range r.counts {
		all[route] = Stats{Sessions: n.sessions, Streams: n.streams}
	}
	return all
}
