package mcp

import (
	"context"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// notified takes a notification of a server.
func (p *peer) notified(l *link, m *jsonrpc.Message, c *call) {
	method := m.Method()
	if spec.IsListChange(method) {
		p.s.hub.searches.forget(p.s.route, p.cluster, spec.ListOfChange(method))
		p.s.listChanged(p, m, c)
		return
	}
	p.s.outlets.flush()
	switch {
	case method == spec.NotificationProgress:
		p.mu.Lock()
		owner := l.calls[m.Params().Get("progressToken").ID()]
		p.mu.Unlock()
		if owner != nil {
			owner.progress(m)
		}
	case method == spec.NotificationCancelled:
		p.s.questions.withdraw(l, m)
	case p.s.modern():
		p.s.informed(p, m, c)
	default:
		p.s.outlets.tell(p.mapped(m), c.outlet())
	}
}

// listChanged passes on what a server says of its lists: byte for byte, and in
// the order of all that it says. In a federation it waits for others of its
// kind, unless the server goes on to say something else.
func (s *session) listChanged(p *peer, m *jsonrpc.Message, c *call) {
	if !s.outlets.wants(m.Method()) {
		return
	}
	n := notice{list: m.Method(), msg: p.mapped(m)}
	if sub := s.outlets.subscription.Load(); sub != nil {
		n.msg = sub.tag(n.msg)
	}
	if len(n.msg) > missedBytes {
		n.msg = nil // it says no more than that there is a change
	}
	if s.naming.Transparent(s.life.current().Members) {
		s.outlets.pass(n, c.outlet())
	} else {
		s.outlets.merge(n)
	}
}

// informed passes a server's notification on to a modern client: on the stream
// of the call that it belongs to, or on one that was opened for it.
func (s *session) informed(p *peer, m *jsonrpc.Message, c *call) {
	sub := s.outlets.subscription.Load()
	if sub == nil {
		// A client that asks for no log gets none (MCP 2026-07-28, Logging).
		if m.Method() != spec.NotificationMessage || s.servers.logLevel() != "" {
			s.outlets.tell(p.mapped(m), c.outlet())
		}
		return
	}
	mapped, err := jsonrpc.Parse(p.mapped(m))
	if err != nil || !sub.wants(mapped) {
		return
	}
	s.outlets.tell(sub.tagged(mapped), nil)
}

// mapped is a notification of the server as the client gets it.
func (p *peer) mapped(m *jsonrpc.Message) []byte {
	var e jsonrpc.Edits
	p.mapper().Notification(&e, m.Method(), m.Params())
	return e.Apply(m)
}

// mapper returns how this cluster's names are rewritten for the client.
func (p *peer) mapper() federation.Mapper {
	ref, ok := p.s.life.current().member(p.cluster)
	if !ok {
		ref = federation.Member{Name: p.cluster}
	}
	return p.s.of(ref)
}

// of returns how what a cluster says is rewritten for the client.
func (s *session) of(ref federation.Member) federation.Mapper {
	return s.naming.Of(ref, s.sealID)
}

// notification takes a notification of the client.
func (s *session) notification(ctx context.Context, route *Route, m *jsonrpc.Message) {
	switch m.Method() {
	case spec.NotificationInitialized:
		// Each upstream session has had its own.
	case spec.NotificationCancelled:
		s.calls.cancel(m)
	case spec.NotificationProgress:
		ctx, cancel := context.WithTimeout(ctx, sendTimeout)
		defer cancel()
		_ = s.questions.advance(ctx, m) // progress that does not arrive is no loss
	case spec.NotificationRootsChanged:
		s.servers.broadcast(ctx, m.Raw())
	case spec.NotificationTaskStatus:
		if p := s.questions.taskOwner(m.Params().Get("taskId").String()); p != nil {
			_ = p.notify(ctx, m.Raw()) // a server that is gone asks no client any more
		}
	default:
		if s.passes(route.Members) {
			s.servers.broadcast(ctx, m.Raw())
		}
	}
}
