package session

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters/process"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/slot"
)

// lifetime is how long a session lasts, what uses it meanwhile, and which
// generation it follows.
//
// The lock is taken after those of a suspended call and of a slot. Under it that
// of servers, of a holder, or of a process is taken, and that of the registry where a
// session is published, or of the admission where it is kept.
type lifetime struct {
	s      *session
	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup // of what spawn runs

	mu          sync.Mutex
	ended       bool
	route       *Route // of the newest generation that was seen
	fingerprint string // of the generation that the client was last told of
	active      int    // HTTP requests being served, and calls that have not been answered
	last        time.Time
	processes   []*process.Process // of the servers that are commands
}

// begin makes the lifetime that of a new session.
func (l *lifetime) begin(s *session, route *Route) {
	l.s, l.route, l.fingerprint, l.last = s, route, route.fingerprint, time.Now()
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
}

// spawn runs f on a goroutine that the session's end waits for. It reports
// false, and does nothing, when the session has ended.
func (l *lifetime) spawn(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	l.wg.Go(f)
	return true
}

// end ends it, once.
func (l *lifetime) end() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := !l.ended
	l.ended = true
	return first
}

// enter counts an HTTP request or a call, during which the session is not idle,
// and makes the session follow the route's generation. It keeps the session from
// being evicted, and the processes of its servers from being stopped for others.
// It reports false when the session has ended, or was evicted a moment before.
func (l *lifetime) enter(route *Route) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	if l.active == 0 {
		if l.s.holder != nil && !l.s.holder.use(l.s) {
			return false
		}
		for _, p := range l.processes {
			p.Use()
		}
	}
	if route.newerThan(l.route) {
		l.route = route
	}
	l.active++
	return true
}

// exit ends what enter began. It lets the session be evicted, and the processes
// of its servers be stopped, if nothing uses it any more.
func (l *lifetime) exit() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.active--
	l.last = time.Now()
	if l.active > 0 {
		return
	}
	if l.s.holder != nil {
		l.s.holder.rest(l.s)
	}
	for _, p := range l.processes {
		p.Rest()
	}
}

// own makes a server's process rest when the session does: it may be stopped
// where another session needs its place.
func (l *lifetime) own(p *process.Process) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.processes = append(l.processes, p)
	if l.active == 0 {
		p.Rest()
	}
}

func (l *lifetime) disown(p *process.Process) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.processes = slices.DeleteFunc(l.processes, func(other *process.Process) bool { return other == p })
}

// use returns when the session was used last, and whether it is in use.
func (l *lifetime) use() (last time.Time, now bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last, l.active > 0
}

// idle reports whether nothing happened for longer than the route allows.
func (l *lifetime) idle(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	// A session with one stream is in use for as long as it lasts, but for a client
	// that never begins.
	return (l.active == 0 || l.s.handshake.Load() == uninitialized) && now.Sub(l.last) > l.route.Timeouts.SessionIdle
}

// current returns the route of the newest generation.
func (l *lifetime) current() *Route {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.route
}

// follow puts a generation in force, unless a newer one is. It returns the
// servers that stay and those that are no part of it, and reports whether names
// differ from those that the client was last told of.
func (l *lifetime) follow(route *Route) (stay, gone []*slot.Slot, differs bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended || l.route.newerThan(route) {
		return nil, nil, false
	}
	differs = l.fingerprint != route.fingerprint
	l.route, l.fingerprint = route, route.fingerprint
	stay, gone = l.s.servers.sort(route)
	return stay, gone, differs
}

// outlived returns the servers that a call of the route's generation may have
// opened, and that the newest one does not have.
func (l *lifetime) outlived(route *Route) []*slot.Slot {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.route.newerThan(route) {
		return nil
	}
	_, gone := l.s.servers.sort(l.route)
	return gone
}
