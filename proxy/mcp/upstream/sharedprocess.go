package upstream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/clusters/process"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// apartTime is how long sessions get processes of their own after the shared
// one has ended by itself within that time of its start: a client that makes it
// crash again and again would end the calls of the others each time.
const apartTime = time.Minute

// sharedProcesses are the processes that serve without sessions, by endpoint.
type sharedProcesses struct {
	mu sync.Mutex
	by map[*clusters.Endpoint]*sharedProcess
	// apart is until when sessions with an endpoint share no process.
	apart map[*clusters.Endpoint]time.Time
	// watched are the endpoints that have health checks, and how many.
	watched map[*clusters.Endpoint]int
}

// sharedProcess is a process of a command that serves without sessions. All sessions
// with the command share it, since the server keeps nothing between two
// requests: it need not be started for each. It ends with the last of them and
// the health check.
type sharedProcess struct {
	all      *sharedProcesses
	endpoint *clusters.Endpoint
	ready    chan struct{} // closed when session is set, or there will be none

	// What follows is guarded by sharedProcesses.mu, and session is set once.

	session  *Session // has the process; no client speaks on it
	sessions int      // those on their way in included
	members  map[*member]struct{}
	born     time.Time
	over     bool // no other session may join

	mu     sync.Mutex
	active int             // requests in flight
	calls  map[*member]int // of these, those that are calls, by session
	caller *member         // has made the first call
	others bool            // other sessions have made calls as well
}

// find returns the shared process of an endpoint, or a new one that the caller must
// install or drop. It returns nil where no process may be shared now.
func (hs *sharedProcesses) find(e *clusters.Endpoint) (h *sharedProcess, found bool) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if time.Now().Before(hs.apart[e]) {
		return nil, false
	}
	if h := hs.by[e]; h != nil {
		return h, true
	}
	h = hs.newProcess(e)
	hs.putLocked(h)
	return h, false
}

// newProcess returns one that no other session finds before it is installed.
func (hs *sharedProcesses) newProcess(e *clusters.Endpoint) *sharedProcess {
	return &sharedProcess{all: hs, endpoint: e, ready: make(chan struct{}), members: map[*member]struct{}{}, calls: map[*member]int{}}
}

func (hs *sharedProcesses) putLocked(h *sharedProcess) {
	if hs.by == nil {
		hs.by = map[*clusters.Endpoint]*sharedProcess{}
	}
	hs.by[h.endpoint] = h
}

// drop gives up a process that came to nothing.
func (hs *sharedProcesses) drop(h *sharedProcess) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	hs.forgetLocked(h)
	close(h.ready)
}

func (hs *sharedProcesses) forgetLocked(h *sharedProcess) {
	h.over = true
	if hs.by[h.endpoint] == h {
		delete(hs.by, h.endpoint)
	}
}

// install makes s, whose process has been found to serve without sessions, the
// one of h, which counts the session of the caller in. Where the endpoint has
// another one already, that one is returned, and s is of no use; with anew it
// is given up for h instead.
func (hs *sharedProcesses) install(h *sharedProcess, s *Session, anew bool) *sharedProcess {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if other := hs.by[h.endpoint]; other != nil && other != h && other.session != nil {
		if !anew {
			other.sessions++
			return other
		}
		if hs.giveUpLocked(other) {
			s.life.spawn(func() { other.session.Close(context.Background()) }) // a process is stopped in bounded time
		}
	}
	hs.putLocked(h)
	h.session, h.sessions, h.born = s, 1, time.Now()
	s.transport.(*stdio).calls.shared.Store(h)
	// Its end is the fault of the session that has a call in flight then.
	s.Process().SetOwner(process.Owner{Backoff: new(process.Backoff)})
	s.Process().Rest()
	context.AfterFunc(s.life.ctx, h.lost)
	close(h.ready)
	return h
}

// giveUp lets no other session join the process of an endpoint. Its process ends
// once its calls have.
func (hs *sharedProcesses) giveUp(ctx context.Context, e *clusters.Endpoint) {
	hs.mu.Lock()
	h := hs.by[e]
	unused := h != nil && h.session != nil && hs.giveUpLocked(h)
	hs.mu.Unlock()
	if unused {
		h.session.Close(ctx)
	}
}

// giveUpLocked reports whether no session uses the process, which the caller
// must end then.
func (hs *sharedProcesses) giveUpLocked(h *sharedProcess) (unused bool) {
	hs.forgetLocked(h)
	h.mu.Lock()
	defer h.mu.Unlock()
	for m := range h.members {
		if h.calls[m] == 0 {
			m.life.end(errReplaced)
		}
	}
	return h.sessions == 0
}

// watch makes the process that sessions with an endpoint share outlive them,
// until the returned function is called.
func (hs *sharedProcesses) watch(e *clusters.Endpoint) (end func(context.Context)) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if hs.watched == nil {
		hs.watched = map[*clusters.Endpoint]int{}
	}
	hs.watched[e]++
	return func(ctx context.Context) {
		hs.mu.Lock()
		if hs.watched[e]--; hs.watched[e] <= 0 {
			delete(hs.watched, e)
		}
		h := hs.by[e]
		unused := hs.watched[e] == 0 && h != nil && h.session != nil && h.sessions == 0 && hs.giveUpLocked(h)
		hs.mu.Unlock()
		if unused {
			h.session.Close(ctx)
		}
	}
}

// errReplaced: a session must move to another process.
var errReplaced = lost(errors.New("another process takes the place of this one"))

// await waits until the process is there or has come to nothing. The session that
// opens it takes a bounded time.
func (h *sharedProcess) await(ctx context.Context) error {
	select {
	case <-h.ready:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// enter counts a session in. It reports false where the process is no more.
func (h *sharedProcess) enter() bool {
	h.all.mu.Lock()
	defer h.all.mu.Unlock()
	if h.session == nil || h.over {
		return false
	}
	if h.session.Process().Taken() {
		h.all.forgetLocked(h) // it is ending, which takes its time
		return false
	}
	h.sessions++
	return true
}

// add makes m one of the sessions that share the process, which has counted it in.
func (h *sharedProcess) add(m *member) {
	h.all.mu.Lock()
	defer h.all.mu.Unlock()
	h.members[m] = struct{}{}
}

// leave counts a session out. The last one ends the process, unless it is watched.
func (h *sharedProcess) leave(ctx context.Context, m *member) {
	h.all.mu.Lock()
	delete(h.members, m)
	h.sessions--
	last := h.sessions == 0 && (h.over || h.all.watched[h.endpoint] == 0)
	if last {
		h.all.forgetLocked(h)
	}
	h.all.mu.Unlock()
	h.mu.Lock()
	if h.caller == m {
		h.caller, h.others = nil, true // its calls may go on in the server
	}
	h.mu.Unlock()
	if last {
		h.session.Close(ctx)
	}
}

// lost is called when the process has ended. A session that alone had calls in
// flight waits before it tries again. Of several it is unknown which one has
// made it crash; where that happens soon, they are set apart.
func (h *sharedProcess) lost() {
	err := h.session.Err()
	crashed := err != nil && !errors.Is(err, process.ErrStopped)
	h.all.mu.Lock()
	h.all.forgetLocked(h)
	lived := time.Since(h.born)
	if now := time.Now(); crashed && lived < apartTime {
		maps.DeleteFunc(h.all.apart, func(_ *clusters.Endpoint, until time.Time) bool { return now.After(until) })
		if h.all.apart == nil {
			h.all.apart = map[*clusters.Endpoint]time.Time{}
		}
		h.all.apart[h.endpoint] = now.Add(apartTime)
	}
	unused := h.sessions == 0
	h.all.mu.Unlock()
	if unused {
		h.session.Close(context.Background()) // its process has ended
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !crashed || len(h.calls) != 1 {
		return
	}
	for m := range h.calls {
		if m.backoff != nil {
			m.backoff.Ended(err, lived)
		}
	}
}

// isApart reports whether sessions with an endpoint share no process now.
func (hs *sharedProcesses) isApart(e *clusters.Endpoint) bool {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	return time.Now().Before(hs.apart[e])
}

// begin counts a request of a session in. A process without any may be stopped
// where another one needs its place.
func (h *sharedProcess) begin(m *member, isCall bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.active == 0 {
		child := h.session.Process()
		if child.Use(); child.Taken() {
			return lost(process.ErrTaken)
		}
	}
	h.active++
	if isCall {
		h.calls[m]++
		if h.caller == nil {
			h.caller = m
		}
		h.others = h.others || h.caller != m
	}
	return nil
}

func (h *sharedProcess) end(m *member, isCall bool) {
	h.mu.Lock()
	if h.session.life.over() {
		h.mu.Unlock()
		return // lost must find whose calls were in flight
	}
	if h.active--; h.active == 0 {
		h.session.Process().Rest()
	}
	if isCall {
		h.calls[m]--
	}
	last := h.calls[m] == 0
	if last {
		delete(h.calls, m)
	}
	h.mu.Unlock()
	if last && isCall {
		h.all.mu.Lock()
		defer h.all.mu.Unlock()
		if h.over && !h.session.life.over() {
			m.life.end(errReplaced)
		}
	}
}

// onlyCaller returns the session that has called the process, if no other one
// ever has.
func (h *sharedProcess) onlyCaller() *member {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.others {
		return nil
	}
	return h.caller
}

// unaddressed takes what the server says without saying to whom. What may
// concern one session alone is for none, where there are several. All get to
// know of a list that has changed, and of a resource all that asked to.
func (h *sharedProcess) unaddressed(m *jsonrpc.Message) {
	method := m.Method()
	uri, ofResource := "", method == spec.NotificationResourceUpdated
	switch only := h.onlyCaller(); {
	case ofResource:
		uri = m.Params().Get("uri").String()
	case m.Kind() == jsonrpc.Notification && strings.HasSuffix(method, "/list_changed"):
	case only != nil:
		only.in.route(m, nil)
		return
	default:
		err := fmt.Errorf("%s does not say which call it is about, and several sessions use the process", snippet([]byte(method)))
		h.session.in.refuse(m.ID(), err, err)
		return
	}
	h.all.mu.Lock()
	members := slices.Collect(maps.Keys(h.members))
	h.all.mu.Unlock()
	for _, member := range members {
		if !ofResource || member.subscriptions.Load().has(uri) {
			member.in.route(m, nil)
		}
	}
}
