package session

import (
	"net/http"
	"slices"
	"sync"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// admission counts what each route holds, and lets sessions in for which there is
// room. Those that it returns as victims have lost their room, and must be ended.
//
// The lock is taken after that of a lifetime, and before that of a holder.
type admission struct {
	memory *memory.Budget

	mu     sync.Mutex
	closed bool
	counts map[string]*count      // by route
	kept   map[keptKey][]*session // for single calls, not in use
}

// count is what a route holds.
type count struct {
	sessions int // those for single calls included
	admitted int // of them, those that the limits count
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

// anonymousKey is the principal of all clients that are not authenticated.
const anonymousKey = string(filter.Anonymous)

// admit lets a session of a client in. Where there is no room for it the session that
// has been idle longest is evicted: one of the same principal, or where only the
// route's room, or memory, has run out, an anonymous one. A client that forgets its
// sessions, as most do, would else be kept out by them until they have been idle for
// long enough, and others with it.
func (a *admission) admit(s *session, limits Limits) (victims []*session, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, errClosed
	}
	n := a.countLocked(s.route)
	defer a.pruneLocked(s.route)
	own := n.holderLocked(s.principal)
	defer n.disownLocked(s.principal)
	evict := func(from ...*holder) bool {
		for _, o := range from {
			if victim := o.evict(); victim != nil {
				victims = append(victims, victim)
				n.vacateLocked(victim)
				return true
			}
		}
		return false
	}
	for s.principal != anonymousKey && own.admitted >= limits.SessionsPerPrincipal {
		if !evict(own) {
			return victims, errPrincipal
		}
	}
	anonymous := n.holders[anonymousKey]
	for n.admitted >= limits.Sessions {
		if !evict(own, anonymous) {
			return victims, errSessions
		}
	}
	// What sessions had that no client uses is taken where memory is short.
	var given int64
	for taken := 0; ; {
		for ; taken < len(victims); taken++ {
			given += victims[taken].charged.Swap(0)
		}
		cost := s.cost()
		if given == 0 {
			err = a.memory.Charge(memory.Session, cost)
		} else {
			err = a.memory.Exchange(memory.Session, given, cost)
		}
		if err == nil {
			s.charged.Store(cost)
			break
		}
		if !evict(own, anonymous) {
			a.memory.Return(memory.Session, given)
			return victims, err
		}
	}
	s.holder, s.admitted = own, true
	own.admitted++
	n.admitted++
	n.sessions++
	return victims, nil
}

// lend counts a session in that the limits do not count: it lasts no longer than its
// request, or is kept within bounds of its own.
func (a *admission) lend(s *session) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return errClosed
	}
	// Calls without a session are no new sessions to the client, and go on being
	// served.
	cost := s.cost()
	if err := a.memory.Exchange(memory.Session, 0, cost); err != nil {
		return err
	}
	s.charged.Store(cost)
	a.countLocked(s.route).sessions++
	return nil
}

// release takes back what admit or lend, and keep, did.
func (a *admission) release(s *session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.unkeepLocked(s)
	n := a.countLocked(s.route)
	n.sessions--
	if s.holder != nil {
		s.holder.part(s)
		n.vacateLocked(s)
		n.disownLocked(s.principal)
	}
	a.pruneLocked(s.route)
}

// take makes an idle session one that no client finds any more, and reports whether
// it was still idle.
func (a *admission) take(s *session) bool {
	if s.holder != nil {
		return s.holder.give(s)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	kept := slices.Contains(a.kept[s.key], s)
	a.unkeepLocked(s)
	return kept
}

// close lets nothing in any more.
func (a *admission) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
}

// addStreams counts streams of a route.
func (a *admission) addStreams(route string, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.countLocked(route).streams += n
	a.pruneLocked(route)
}

func (a *admission) stats() map[string]Stats {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make(map[string]Stats, len(a.counts))
	for route, n := range a.counts {
		all[route] = Stats{Sessions: n.sessions, Streams: n.streams}
	}
	return all
}

func (a *admission) countLocked(route string) *count {
	n := a.counts[route]
	if n == nil {
		n = &count{holders: map[string]*holder{}, kept: idleList{which: inRoute}}
		a.counts[route] = n
	}
	return n
}

// pruneLocked forgets a route that holds nothing.
func (a *admission) pruneLocked(route string) {
	if n := a.counts[route]; n != nil && n.sessions == 0 && n.streams == 0 {
		delete(a.counts, route)
	}
}

// vacateLocked takes a session's room back.
func (n *count) vacateLocked(s *session) {
	if s.admitted {
		s.admitted = false
		s.holder.admitted--
		n.admitted--
	}
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
	if o := n.holders[principal]; o != nil && o.admitted == 0 && o.kept.count == 0 {
		delete(n.holders, principal)
	}
}
