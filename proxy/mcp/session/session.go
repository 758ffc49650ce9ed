package session

import (
	"sync/atomic"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/slot"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// session is one client's, from initialize to its end, over all generations
// that come and go. It is bound to a route and a principal.
//
// Each of its parts has a lock of its own. Locks are taken in this order, from
// the left to the right, and none is held while something is read from or
// written to a network:
//
//	suspended → slot.Slot → outlets → eventstream.Stream → eventstream.Store
//	suspended → slot.Slot → lifetime → servers, holder, process
//	suspended → suspensions
//	lifetime → Registry, where a session is published
//	lifetime → admission → holder, where one is kept
//
// Those of questions, servers, searches and tasks are leaves; under that of calls the
// clock of a call is locked. The locks of outlets and of lifetime are never held at
// once.
type session struct {
	identity

	registry *Registry
	// only: the session's only stream. nil for Streamable HTTP.
	only      *eventstream.Stream
	handshake atomic.Int32 // how far initialize has come on it

	// holder: whose the room is that the session was admitted to. Nil: it was lent.
	holder   *holder
	admitted bool             // the limits count it; guarded by the admission
	place    placement        // guarded by the holder
	links    [idleLists]links // guarded as the lists are

	charged atomic.Int64 // to the memory budget, in bytes

	life      lifetime
	servers   servers
	calls     calls
	questions questions
	outlets   outlets
}

func (r *Registry) newSession(route *Route, principal string, init ClientInit) *session {
	s := &session{registry: r, identity: identity{
		route:     route.Name,
		principal: principal,
		init:      init.params,
		version:   init.version,
		modern:    init.version == spec.Modern,
		naming:    federation.NewNaming(route.Namespace, route.Members),
	}}
	s.life.begin(s, route)
	s.servers = servers{s: s, byName: map[string]*slot.Slot{}, level: init.level}
	s.calls.byID = map[jsonrpc.ID][]*call{}
	s.questions.s, s.questions.byID = s, map[jsonrpc.ID]*serverRequest{}
	s.outlets.store = eventstream.NewStore(route.Resume.limits(), r.opts.Memory)
	s.outlets.added = make(chan struct{})
	return s
}

// end ends the session: calls in flight fail with cause, streams end after a
// whole event, and upstream sessions are closed in the background.
func (s *session) end(reason string, cause error) {
	if !s.life.end() {
		return
	}
	s.servers.close()
	s.registry.forget(s, reason)
	s.life.cancel(cause)
	s.discharge()
	s.outlets.close()
	s.registry.tasks.run(func() {
		s.life.wg.Wait()
		for _, p := range s.servers.all() {
			p.Leave(errEnded)
		}
	})
}

// launch runs a call on a goroutine of the session, and through after it. The call
// ends with the session at the latest. The error is why it does not run.
func (s *session) launch(c *call, through func()) error {
	// The message, and a copy with changes that a server is sent.
	c.lease = s.registry.opts.Memory.Lease(memory.Body)
	if err := c.lease.Grow(2 * len(c.msg.Raw())); err != nil {
		return err
	}
	if !s.life.enter(c.route) {
		c.lease.Release()
		return errEnded
	}
	if !s.calls.enter(s.life.ctx, c) {
		s.life.exit()
		c.lease.Release()
		return ErrPending
	}
	started := s.life.spawn(func() {
		defer through()
		defer s.finish(c)
		c.run()
	})
	if !started {
		c.stop()
		s.finish(c)
		return errEnded
	}
	return nil
}

func (s *session) finish(c *call) {
	c.lease.Release()
	s.calls.leave(c)
	s.life.exit()
	for _, p := range s.life.outlived(c.route) {
		p.Leave(slot.Removed(p.Cluster()))
	}
}

// follow makes the session follow a generation that is now in force.
func (s *session) follow(route *Route) {
	stay, gone, differs := s.life.follow(route)
	s.outlets.store.SetLimits(s.life.current().Resume.limits())
	for _, p := range gone {
		p.Leave(slot.Removed(p.Cluster()))
	}
	for _, p := range stay {
		p.Adopt(&route.slots)
	}
	if differs && s.ready() {
		s.outlets.changed(spec.ListChanges()...)
	}
}
