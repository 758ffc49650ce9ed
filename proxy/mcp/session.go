package mcp

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters/process"
	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// session is one client's, from initialize to its end, over all generations
// that come and go. It is bound to a route and a principal.
//
// Locks are taken in this order: held, peer, session, then stream, or hub and
// holder.
type session struct {
	hub       *Hub
	id        string
	route     string
	principal string
	// init are the params of initialize, which go to each server.
	init    []byte
	version string // what was negotiated with the client
	naming  federation.Naming
	// sessionless: made for single calls of clients without a session, who
	// can neither listen nor answer.
	sessionless bool
	// stateless: the client's revision has no sessions at all.
	stateless bool
	// line: the session's only stream, of another transport. Nil for
	// Streamable HTTP.
	line      *line
	anonymous bool    // sessionless, and for one call only
	key       keptKey // sessionless: who else may use it
	// subscribed: made for one stream of subscriptions/listen.
	subscribed bool
	// holder: who has the slot that the session took. Nil: it takes none.
	holder *holder
	slot   bool             // it still has it; guarded by the hub
	place  placement        // guarded by the holder
	links  [idleLists]links // guarded as the lists are

	charged atomic.Int64 // to the memory budget, in bytes

	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup

	servers servers
	outlets outlets

	mu          sync.Mutex
	ended       bool
	current     *Route                 // of the newest generation that was seen
	fingerprint string                 // of the generation that the client was last told of
	calls       map[jsonrpc.ID][]*call // by the client's id: some use one twice at once
	pending     int                    // requests that have not been answered
	queue       queue
	asks        map[jsonrpc.ID]*ask // requests of servers, by our id
	// clientTasks are tasks of the client, by its id, with whom they are for.
	clientTasks map[string]*peer
	active      int // HTTP requests being served
	last        time.Time
	processes   []*process.Process // of the servers that are commands
}

// modern reports whether the client speaks a revision without sessions.
func (s *session) modern() bool { return s.stateless }

func (h *Hub) newSession(route *Route, principal string, init clientInit) *session {
	s := &session{
		hub:         h,
		route:       route.Name,
		principal:   principal,
		init:        init.params,
		version:     init.version,
		stateless:   init.version == spec.Modern,
		naming:      federation.NewNaming(route.Namespace, route.Members),
		current:     route,
		fingerprint: route.fingerprint,
		calls:       map[jsonrpc.ID][]*call{},
		asks:        map[jsonrpc.ID]*ask{},
		last:        time.Now(),
	}
	s.servers = servers{s: s, byName: map[string]*peer{}, level: init.level}
	s.outlets.store = eventstream.NewStore(route.Resume.limits(), h.opts.Memory)
	s.outlets.added = make(chan struct{})
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	return s
}

// spawn runs f on a goroutine that the session's end waits for. It reports
// false, and does nothing, when the session has ended.
func (s *session) spawn(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	s.wg.Go(f)
	return true
}

// end ends the session: calls in flight fail with cause, streams end after a
// whole event, and upstream sessions are closed in the background.
func (s *session) end(reason string, cause error) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.ended = true
	s.mu.Unlock()

	peers := s.servers.close()
	s.hub.forget(s, reason)
	s.cancel(cause)
	s.discharge()
	s.outlets.close()
	s.hub.background(func() {
		s.wg.Wait()
		for _, p := range peers {
			p.leave()
		}
	})
}

// begin counts a request in, and ends it when the session ends.
func (s *session) begin(c *call) error {
	// The message, and a copy with changes that a server is sent.
	c.lease = s.hub.opts.Memory.Lease(memory.Body)
	if err := c.lease.Grow(2 * len(c.msg.Raw())); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended, !s.useLocked():
		c.lease.Release()
		return errEnded
	case !s.enterLocked(c):
		s.restLocked()
		c.lease.Release()
		return errPending
	}
	s.pending++
	id := c.msg.ID()
	s.calls[id] = append(s.calls[id], c)
	c.start(s.ctx)
	if c.turn != nil {
		c.hold() // no server is silent yet
	}
	return nil
}

func (s *session) finish(c *call) {
	c.lease.Release()
	s.mu.Lock()
	s.pending--
	s.leaveLocked(c)
	s.restLocked()
	id := c.msg.ID()
	s.calls[id] = slices.DeleteFunc(s.calls[id], func(other *call) bool { return other == c })
	if len(s.calls[id]) == 0 {
		delete(s.calls, id)
	}
	var gone []*peer
	if c.route.seq < s.current.seq {
		// It may have opened what the newest generation does not have.
		_, gone = s.servers.sort(s.current)
	}
	s.mu.Unlock()
	for _, p := range gone {
		p.leave()
	}
}

// only returns the call in flight, if there is exactly one.
func (s *session) only() *call {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.calls) != 1 {
		return nil
	}
	for _, calls := range s.calls {
		if len(calls) == 1 {
			return calls[0]
		}
	}
	return nil
}

// cancelCall ends the newest call with the id that m names: of two with the same, the
// other one is more likely to be the one whose answer is awaited.
func (s *session) cancelCall(m *jsonrpc.Message) {
	id := m.Params().Get("requestId").ID()
	s.mu.Lock()
	var c *call
	if calls := s.calls[id]; len(calls) > 0 {
		c = calls[len(calls)-1]
	}
	s.mu.Unlock()
	if c != nil {
		c.cancel(canceled{m})
	}
}

// listen adds a stream for what belongs to no call. It reports false when there
// are too many.
func (s *session) listen(st *eventstream.Stream, limit int) bool {
	if !s.outlets.listen(st, limit) {
		return false
	}
	s.servers.startListening()
	return true
}

// follow makes the session follow a generation that is now in force.
func (s *session) follow(route *Route) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	differs := s.fingerprint != route.fingerprint
	s.current, s.fingerprint = route, route.fingerprint
	stay, gone := s.servers.sort(s.current)
	s.mu.Unlock()
	s.outlets.store.SetLimits(route.Resume.limits())
	for _, p := range gone {
		p.leave()
	}
	for _, p := range stay {
		p.adopt(route)
	}
	if differs && (s.line == nil || s.line.ready()) {
		s.outlets.changed(spec.ListChanges()...)
	}
}

// follows returns the route of the newest generation.
func (s *session) follows() *Route {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}
