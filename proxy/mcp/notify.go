package mcp

import (
	"context"
	"sync"

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
	p.s.flush()
	switch {
	case method == spec.NotificationProgress:
		p.mu.Lock()
		owner := l.calls[m.Params().Get("progressToken").ID()]
		p.mu.Unlock()
		if owner != nil {
			owner.progress(m)
		}
	case method == spec.NotificationCancelled:
		p.s.withdrawn(l, m)
	case p.s.modern():
		p.s.informed(p, m, c)
	default:
		var e jsonrpc.Edits
		p.mapper().Notification(&e, method, m.Params())
		p.s.tell(e.Apply(m), c)
	}
}

// informed passes a server's notification on to a modern client: on the stream
// of the call that it belongs to, or on one that was opened for it.
func (s *session) informed(p *peer, m *jsonrpc.Message, c *call) {
	var e jsonrpc.Edits
	p.mapper().Notification(&e, m.Method(), m.Params())
	if s.subscription == nil {
		// A client that asks for no log gets none (MCP 2026-07-28, Logging).
		if m.Method() != spec.NotificationMessage || s.logLevel() != "" {
			s.tell(e.Apply(m), c)
		}
		return
	}
	mapped, err := jsonrpc.Parse(e.Apply(m))
	if err != nil || !s.subscription.wants(mapped) {
		return
	}
	s.tell(s.subscription.tagged(mapped), nil)
}

// notificationLocked is a notification of a server as the client gets it.
func (s *session) notificationLocked(p *peer, m *jsonrpc.Message) []byte {
	var e jsonrpc.Edits
	s.mapperLocked(p.cluster).Notification(&e, m.Method(), m.Params())
	b := e.Apply(m)
	if s.subscription != nil {
		if mapped, err := jsonrpc.Parse(b); err == nil { // it is made of what was parsed
			b = s.subscription.tagged(mapped)
		}
	}
	return b
}

// mapper returns how this cluster's names are rewritten for the client.
func (p *peer) mapper() federation.Mapper {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	return p.s.mapperLocked(p.cluster)
}

func (s *session) mapperLocked(cluster string) federation.Mapper {
	ref, ok := s.current.member(cluster)
	if !ok {
		ref = federation.Member{Name: cluster}
	}
	return s.of(ref)
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
		s.cancelCall(m)
	case spec.NotificationProgress:
		ctx, cancel := context.WithTimeout(ctx, sendTimeout)
		defer cancel()
		_ = s.advance(ctx, m) // progress that does not arrive is no loss
	case spec.NotificationRootsChanged:
		s.broadcast(ctx, m.Raw())
	case spec.NotificationTaskStatus:
		if p := s.clientTask(m.Params().Get("taskId").String()); p != nil {
			_ = p.notify(ctx, m.Raw()) // a server that is gone asks no client any more
		}
	default:
		if s.passes(route.Members) {
			s.broadcast(ctx, m.Raw())
		}
	}
}

// broadcast sends a notification to every server that has been initialised.
// The others will ask. One that cannot be reached is found out by its next
// call.
func (s *session) broadcast(ctx context.Context, msg []byte) {
	var wg sync.WaitGroup
	for _, p := range s.allPeers() {
		wg.Go(func() { _ = p.notify(ctx, msg) })
	}
	wg.Wait()
}
