package session

import (
	"crypto/sha256"
	"slices"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
)

// keptLimit is how many sessions are kept for single calls of one principal
// at the same time; more are made, and not kept.
const keptLimit = 8

// keptKey tells whose single calls may share upstream sessions: those of one
// principal that use the same names, and say the same of themselves.
type keptKey struct {
	route, principal, version, level string
	init                             [sha256.Size]byte
	naming                           federation.Naming
}

// Borrow returns a session for one call of a client that has none, for its
// use alone. An anonymous client gets a fresh one, so that no state of a
// server leaks from one user to the next. LaunchOnly gives it back.
func (f Sender) Borrow(init ClientInit) (Session, error) {
	route, principal, r := f.Route, f.Principal, f.Route.registry
	anonymous := principal.Kind == filter.Anonymous || principal.Kind == ""
	naming := federation.NewNaming(route.Namespace, route.Members)
	key := keptKey{route.Name, principal.Key(), init.version, init.level, sha256.Sum256(init.params), naming}
	for !anonymous {
		s := r.unkeep(key)
		if s == nil {
			break
		}
		if s.life.enter(route) {
			return Session{s}, nil
		}
	}
	s := r.newSession(route, principal.Key(), init)
	s.sessionless, s.outlets.deaf = true, true
	s.key = key
	s.anonymous = anonymous
	if err := r.lend(s); err != nil {
		s.life.cancel(err)
		return Session{}, err
	}
	s.life.enter(route)
	return Session{s}, nil
}

// lend counts a session in that takes no slot: it lasts no longer than its
// request, or is kept within bounds of its own.
func (r *Registry) lend(s *session) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errClosed
	}
	// Calls without a session are no new sessions to the client, and go on being
	// served.
	cost := s.cost()
	if err := r.opts.Memory.Exchange(memory.Session, 0, cost); err != nil {
		return err
	}
	s.charged.Store(cost)
	r.countLocked(s.route).sessions++
	return nil
}

// giveBack ends the use of what Borrow returned.
func (r *Registry) giveBack(s *session) {
	s.life.exit()
	var route *Route
	var victims []*session
	if s.servers.shareable() {
		route, victims = r.keep(s)
	}
	for _, victim := range victims {
		victim.end("evicted", errEnded)
	}
	if route == nil {
		s.end("single call", errEnded)
		return
	}
	// A generation that came meanwhile did not find the session.
	s.follow(route)
}

// keep keeps a session for the next single call, and returns the route in
// force, or nil if the session is of no more use. As many as a principal, and
// the route, may have sessions of clients are kept beside those: a client that
// says another thing of itself each time has others given up, those that were
// not used for longest, its own first. They must be ended.
func (r *Registry) keep(s *session) (route *Route, victims []*session) {
	s.life.mu.Lock() // an end that comes now finds the session where it is kept
	defer s.life.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	route = r.current[s.route]
	if s.anonymous || s.life.ended || r.closed || route == nil || len(r.kept[s.key]) >= keptLimit {
		return nil, nil
	}
	limits := route.Limits
	n := r.countLocked(s.route)
	own := n.holderLocked(s.principal)
	for own.kept.count >= limits.SessionsPerPrincipal {
		victims = append(victims, own.kept.first)
		r.unkeepLocked(own.kept.first)
	}
	for n.kept.count >= limits.Sessions {
		victims = append(victims, n.kept.first)
		r.unkeepLocked(n.kept.first)
	}
	n.holders[s.principal] = own // which unkeepLocked may have forgotten
	r.kept[s.key] = append(r.kept[s.key], s)
	own.kept.push(s)
	n.kept.push(s)
	return route, victims
}

// unkeep takes a kept session, the one that was used last: the others may
// become idle.
func (r *Registry) unkeep(key keptKey) *session {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := r.kept[key]
	if len(kept) == 0 {
		return nil
	}
	s := kept[len(kept)-1]
	r.unkeepLocked(s)
	return s
}

func (r *Registry) unkeepLocked(s *session) {
	if !s.sessionless {
		return
	}
	key := s.key
	kept := r.kept[key]
	for i, other := range kept {
		if other == s {
			r.kept[key] = slices.Delete(kept, i, i+1)
			n := r.countLocked(s.route)
			n.holderLocked(s.principal).kept.remove(s)
			n.kept.remove(s)
			n.disownLocked(s.principal)
			break
		}
	}
	if len(r.kept[key]) == 0 {
		delete(r.kept, key)
	}
}
