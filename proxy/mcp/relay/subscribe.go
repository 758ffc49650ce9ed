package relay

import (
	"context"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

// subscribe opens a stream of notifications (MCP 2026-07-28, Subscriptions)
// and, once it was acknowledged, opens it again whenever the gateway ends it
// or breaks it off: on a pipe the client has no connection whose end would
// tell it to.
func (s *sessions) subscribe(ctx context.Context, q *request) error {
	acknowledged, answered := false, false
	take := func(got *jsonrpc.Message) {
		switch {
		case got.Method() == spec.NotificationSubscriptionAccepted && acknowledged:
			s.missed(got)
			return
		case got.Method() == spec.NotificationSubscriptionAccepted:
			acknowledged = true
		case acknowledged && (got.Method() == spec.NotificationCancelled || got.Kind() == jsonrpc.Response && !got.IsError()):
			return // the end of this connection, not of the subscription
		case got.Kind() == jsonrpc.Response:
			answered = true
		}
		s.out.pass(got)
	}
	listen := func() error { return s.exchange(ctx, s.without, q.Message, take) }
	began := time.Now()
	err := s.persist(ctx, q, func() error {
		if err := listen(); !acknowledged {
			return err
		}
		return nil
	})
	attempts := upstream.Attempts{Pace: s.pace.Unbounded()}
	for acknowledged && !answered && (err == nil || away(err)) {
		if time.Since(began) > attempts.Longest {
			attempts.Reset() // it was open
		}
		if !attempts.Again(ctx, nil) {
			return ctx.Err()
		}
		began = time.Now()
		err = listen()
	}
	return err
}

// missed tells the client that all it listens to may have changed while
// no server could say so. The acknowledgement says what that is.
func (s *sessions) missed(ack *jsonrpc.Message) {
	meta := ack.Params().Get("_meta").Raw()
	if meta == nil {
		return
	}
	tell := func(method string, uri []byte) {
		s.out.write(jsonrpc.NewNotification(method, jsonrpc.NewObject("_meta", meta, "uri", uri)))
	}
	heard := ack.Params().Get("notifications")
	for _, kind := range []string{"tools", "prompts", "resources"} {
		if heard.Get(kind + "ListChanged").Bool() {
			tell("notifications/"+kind+"/list_changed", nil)
		}
	}
	for _, uri := range heard.Get("resourceSubscriptions").Each {
		if uri.Kind() == jsonrpc.String {
			tell(spec.NotificationResourceUpdated, uri.Raw())
		}
	}
}
