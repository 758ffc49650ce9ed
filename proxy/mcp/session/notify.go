package session

import (
	"context"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/slot"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// mapper returns how a cluster's names are rewritten for the client.
func (s *session) mapper(cluster string) federation.Mapper {
	ref, ok := s.life.current().member(cluster)
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
	case spec.NotificationProgress:
		ctx, cancel := context.WithTimeout(ctx, slot.SendTimeout)
		defer cancel()
		_ = s.questions.advance(ctx, m) // progress that does not arrive is no loss
	case spec.NotificationRootsChanged:
		s.servers.broadcast(ctx, m.Raw())
	case spec.NotificationTaskStatus:
		if at := s.questions.taskOwner(m.Params().Get("taskId").String()); at != nil {
			_ = at.Notify(ctx, m.Raw()) // a server that is gone asks no client any more
		}
	default:
		if s.passes(route.Members) {
			s.servers.broadcast(ctx, m.Raw())
		}
	}
}
