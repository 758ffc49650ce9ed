package session

import "sync"

// holder is one principal on one route, with the sessions that it has there.
// All anonymous clients are one holder.
type holder struct {
	// The lock of the admission guards these.
	admitted int      // its sessions that the limits count
	kept     idleList // its sessions for single calls that are not in use

	mu   sync.Mutex // taken last
	idle idleList   // its admitted sessions that are not in use
}

// placement is where an admitted session is, in its holder's view.
type placement int

const (
	placeBusy placement = iota // a request or a stream uses it
	placeIdle                  // it may be evicted
	placeGone                  // it was evicted, or has ended
)

// use takes a session out of the idle ones. It reports false when it was
// evicted a moment before.
func (o *holder) use(s *session) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s.place == placeGone {
		return false
	}
	o.moveLocked(s, placeBusy)
	return true
}

// rest puts a session to the idle ones, as the one that was used last.
func (o *holder) rest(s *session) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s.place == placeBusy {
		o.moveLocked(s, placeIdle)
	}
}

// part takes a session out for good.
func (o *holder) part(s *session) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.moveLocked(s, placeGone)
}

// evict takes the session out that has been idle longest. Who finds it later
// is told that it has ended. It returns nil when all are in use; a nil holder has
// none.
func (o *holder) evict() *session {
	if o == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.idle.first
	if s != nil {
		o.moveLocked(s, placeGone)
	}
	return s
}

// give takes a session out that is idle, and reports whether it was.
func (o *holder) give(s *session) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	idle := s.place == placeIdle
	if idle {
		o.moveLocked(s, placeGone)
	}
	return idle
}

func (o *holder) moveLocked(s *session, to placement) {
	if s.place == placeIdle {
		o.idle.remove(s)
	}
	if s.place = to; to == placeIdle {
		o.idle.push(s)
	}
}

// idleList is a list of sessions, the one that was used last at the end. The
// links are in the sessions, so that none is looked for and nothing is
// allocated.
type idleList struct {
	which       int // of the session's links
	first, last *session
	count       int
}

// A session is in two such lists at most: with its holder and, if it is kept for
// single calls, with its route.
const (
	inHolder = iota
	inRoute
	idleLists
)

// links are a session's neighbours in one list.
type links struct{ before, after *session }

func (l *idleList) push(s *session) {
	s.links[l.which] = links{before: l.last}
	if l.last != nil {
		l.last.links[l.which].after = s
	} else {
		l.first = s
	}
	l.last = s
	l.count++
}

func (l *idleList) remove(s *session) {
	at := s.links[l.which]
	if at.before != nil {
		at.before.links[l.which].after = at.after
	} else {
		l.first = at.after
	}
	if at.after != nil {
		at.after.links[l.which].before = at.before
	} else {
		l.last = at.before
	}
	s.links[l.which] = links{}
	l.count--
}
