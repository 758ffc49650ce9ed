package session

import (
	"crypto/sha256"
	"maps"
	"slices"

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

// borrow returns a session for one call of a client that has none, for its
// use alone. An anonymous client gets a fresh one, so that no state of a
// server leaks from one user to the next. giveBack ends its use.
func (f Sender) borrow(init ClientInit) (Session, error) {
	route, principal, r := f.Route, f.Principal, f.Route.registry
	anonymous := principal.Kind == filter.Anonymous || principal.Kind == ""
	naming := federation.NewNaming(route.Namespace, route.Members)
	key := keptKey{route.Name, principal.Key(), init.version, init.level, sha256.Sum256(init.params), naming}
	for !anonymous {
		s := r.admission.unkeep(key)
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
	if err := r.admission.lend(s); err != nil {
		s.life.cancel(err)
		return Session{}, err
	}
	s.life.enter(route)
	return Session{s}, nil
}

// giveBack ends the use of what borrow returned.
func (r *Registry) giveBack(s *session) {
	s.life.exit()
	var victims []*session
	route := r.currentOf(s.route)
	kept := route != nil && s.servers.shareable()
	if kept {
		victims, kept = r.admission.keep(s, route.Limits)
	}
	for _, victim := range victims {
		victim.end("evicted", errEnded)
	}
	if !kept {
		s.end("single call", errEnded)
		return
	}
	// A generation that came before the session was kept did not find it. Another
	// call may use the session by now, and ends it where the route is gone.
	if route = r.currentOf(s.route); route != nil {
		s.follow(route)
	} else if r.admission.take(s) {
		s.end("single call", errEnded)
	}
}

// keep keeps a session for the next single call, unless it is of no more use. As many
// as a principal, and the route, may have sessions of clients are kept beside those:
// a client that says another thing of itself each time has others given up, those that
// were not used for longest, its own first.
func (a *admission) keep(s *session, limits Limits) (victims []*session, kept bool) {
	s.life.mu.Lock() // an end that comes now finds the session where it is kept
	defer s.life.mu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	if s.anonymous || s.life.ended || a.closed || len(a.kept[s.key]) >= keptLimit {
		return nil, false
	}
	n := a.countLocked(s.route)
	own := n.holderLocked(s.principal)
	for own.kept.count >= limits.SessionsPerPrincipal {
		victims = append(victims, own.kept.first)
		a.unkeepLocked(own.kept.first)
	}
	for n.kept.count >= limits.Sessions {
		victims = append(victims, n.kept.first)
		a.unkeepLocked(n.kept.first)
	}
	n.holders[s.principal] = own // which unkeepLocked may have forgotten
	a.kept[s.key] = append(a.kept[s.key], s)
	own.kept.push(s)
	n.kept.push(s)
	return victims, true
}

// allKept returns the sessions for single calls that are not in use.
func (a *admission) allKept() []*session {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Concat(slices.Collect(maps.Values(a.kept))...)
}

// unkeep takes a kept session, the one that was used last: the others may
// become idle.
func (a *admission) unkeep(key keptKey) *session {
	a.mu.Lock()
	defer a.mu.Unlock()
	kept := a.kept[key]
	if len(kept) == 0 {
		return nil
	}
	s := kept[len(kept)-1]
	a.unkeepLocked(s)
	return s
}

func (a *admission) unkeepLocked(s *session) {
	i := slices.Index(a.kept[s.key], s)
	if i < 0 {
		return
	}
	if a.kept[s.key] = slices.Delete(a.kept[s.key], i, i+1); len(a.kept[s.key]) == 0 {
		delete(a.kept, s.key)
	}
	n := a.countLocked(s.route)
	n.holderLocked(s.principal).kept.remove(s)
	n.kept.remove(s)
	n.disownLocked(s.principal)
}
