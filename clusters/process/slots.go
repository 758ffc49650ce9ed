package process

import (
	"container/list"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// maxWaiting bounds the starts that wait for a process of one command.
const maxWaiting = 1024

// slots are the places of a command's processes, max_processes of them. Where
// none is free, a process at rest is stopped for the session that asks, and
// sessions that ask wait, in turn.
type slots struct {
	mu   sync.Mutex
	used int
	// leaving are processes that are being stopped for a session that waits.
	leaving int
	resting list.List // of *Process, the one that rests longest first
	waiting []*waiter
}

// waiter waits for a slot.
type waiter struct {
	command *Command // whose max_processes counts
	owner   Owner
	granted chan struct{} // closed when it has one
}

// rest is whether a process is in use. The lock of the slots guards it, but for
// taken.
type rest struct {
	owner Owner
	place *list.Element // among those at rest; nil: it is in use
	gone  bool          // it has no slot any more
	taken atomic.Bool   // it is being stopped for another one
}

// claim takes a slot.
func (s *slots) claim(ctx context.Context, c *Command, owner Owner) error {
	most, patience := c.most.Load(), time.Duration(c.patience.Load())
	s.mu.Lock()
	if len(s.waiting) == 0 && int64(s.used) < most {
		s.used++
		s.mu.Unlock()
		return nil
	}
	full := fmt.Errorf("cluster %s: %w: max_processes (%d) are running", c.Cluster, ErrOverflow, most)
	if owner.IfFree || patience <= 0 {
		s.mu.Unlock()
		return full
	}
	if len(s.waiting) >= maxWaiting {
		s.mu.Unlock()
		return fmt.Errorf("%w, and %d sessions wait for one", full, maxWaiting)
	}
	w := &waiter{command: c, owner: owner, granted: make(chan struct{})}
	s.waiting = append(s.waiting, w)
	s.makeRoomLocked()
	s.mu.Unlock()
	c.tell(Queued, full)

	timer := time.NewTimer(patience)
	defer timer.Stop()
	var err error
	select {
	case <-w.granted:
		return nil
	case <-timer.C:
		err = fmt.Errorf("%w, and none of them has become free within queue_timeout (%v); raise one of the two, or end sessions that are not used", full, patience)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if s.giveUp(w) {
		return err
	}
	return nil // a slot came at the same moment
}

// giveUp ends the waiting of w. It reports false when w has got a slot.
func (s *slots) giveUp(w *waiter) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.waiting, w)
	if i < 0 {
		return false
	}
	s.waiting = slices.Delete(s.waiting, i, i+1)
	s.grantLocked() // those behind it may have a greater max_processes
	return true
}

// free gives a slot back; p is the process that had it, nil if none was started.
func (s *slots) free(p *Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used--
	if p != nil {
		s.unrestLocked(p)
		p.rest.gone = true
		if p.rest.taken.Load() {
			s.leaving--
		}
	}
	s.grantLocked()
}

// grant gives slots that have become free to the starts that wait.
func (s *slots) grant() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grantLocked()
}

func (s *slots) grantLocked() {
	for len(s.waiting) > 0 && int64(s.used) < s.waiting[0].command.most.Load() {
		s.used++
		close(s.waiting[0].granted)
		s.waiting[0] = nil
		s.waiting = s.waiting[1:]
	}
	s.makeRoomLocked()
}

// makeRoomLocked stops a process at rest for each of the starts that wait.
func (s *slots) makeRoomLocked() {
	for s.leaving < len(s.waiting) && s.resting.Len() > 0 {
		p := s.victimLocked(s.waiting[s.leaving].owner)
		s.unrestLocked(p)
		p.rest.taken.Store(true)
		s.leaving++
		go p.Stop(context.Background()) // which takes seconds at most
	}
}

// victimLocked returns the process at rest that is stopped for owner: of those
// whose loss matters least, the one at rest longest.
func (s *slots) victimLocked(owner Owner) (victim *Process) {
	for at := s.resting.Front(); at != nil; at = at.Next() {
		if p := at.Value.(*Process); victim == nil || p.rest.worth(owner) < victim.rest.worth(owner) {
			victim = p
		}
	}
	return victim
}

// worth orders processes by what it matters that one is stopped for owner. What
// the server keeps for a session is lost with its process, so a principal that
// takes many of them takes its own first, and then those of clients without a
// name, as with sessions.
func (r *rest) worth(owner Owner) int {
	switch {
	case r.owner.Check:
		return 0
	case r.owner.Principal == owner.Principal:
		return 1
	case r.owner.Principal == "":
		return 2
	}
	return 3
}

func (s *slots) unrestLocked(p *Process) {
	if p.rest.place != nil {
		s.resting.Remove(p.rest.place)
		p.rest.place = nil
	}
}

// Rest says that no session uses the process now: it may be stopped where another
// one needs its place. It then ends with ErrTaken.
func (p *Process) Rest() {
	s := p.command.slots
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.rest.place == nil && !p.rest.taken.Load() && !p.rest.gone {
		p.rest.place = s.resting.PushBack(p)
		s.makeRoomLocked()
	}
}

// Use says that the process is in use again, or ends its rest for good. Whether
// that came too late is what Taken says afterwards.
func (p *Process) Use() {
	s := p.command.slots
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unrestLocked(p)
}

// Taken reports whether the process is being stopped because another one needed
// its place while it was at rest.
func (p *Process) Taken() bool { return p.rest.taken.Load() }

// counts are how many processes there are, and how many sessions wait for one.
func (s *slots) counts() (used, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used, len(s.waiting)
}
