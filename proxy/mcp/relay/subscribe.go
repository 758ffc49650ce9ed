package relay

import (
	"context"
	"net/http"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// subscribe opens a stream of notifications (MCP 2026-07-28, Subscriptions)
// and, once it was acknowledged, opens it again whenever the gateway ends it
// or breaks it off: on a pipe the client has no connection whose end would
// tell it to.
func (r *Relay) subscribe(ctx context.Context, m *jsonrpc.Message, version string) error {
	acknowledged, answered := false, false
	take := func(got *jsonrpc.Message, _ http.Header) {
		switch {
		case got.Method() == spec.NotificationSubscriptionAccepted && acknowledged:
			r.missed(got)
			return
		case got.Method() == spec.NotificationSubscriptionAccepted:
			acknowledged = true
		case acknowledged && (got.Method() == spec.NotificationCancelled || got.Kind() == jsonrpc.Response && !got.IsError()):
			return // the end of this connection, not of the subscription
		case got.Kind() == jsonrpc.Response:
			answered = true
		}
		r.out.write(got.Raw())
	}
	listen := func() error { return r.exchange(ctx, m, r.modernHeader(m, version), take) }
	began := time.Now()
	err := r.persist(ctx, m, func() error {
		if err := listen(); !acknowledged {
			return err
		}
		return nil
	})
	wait := &backoff{}
	for acknowledged && !answered && (err == nil || away(err)) {
		if time.Since(began) > longest {
			wait.last = 0 // it was open
		}
		if !wait.again(ctx) {
			return ctx.Err()
		}
		began = time.Now()
		err = listen()
	}
	return err
}

// missed tells the client that all it listens to may have changed while
// no server could say so. The acknowledgement says what that is.
func (r *Relay) missed(ack *jsonrpc.Message) {
	meta := ack.Params().Get("_meta").Raw()
	if meta == nil {
		return
	}
	params := append([]byte(`{"_meta":`), meta...)
	tell := func(method string, rest []byte) {
		body := append(append(params[:len(params):len(params)], rest...), '}')
		r.out.write(jsonrpc.NewNotification(method, body))
	}
	heard := ack.Params().Get("notifications")
	for _, kind := range []string{"tools", "prompts", "resources"} {
		if heard.Get(kind + "ListChanged").Bool() {
			tell("notifications/"+kind+"/list_changed", nil)
		}
	}
	for _, uri := range heard.Get("resourceSubscriptions").Each {
		if uri.Kind() == jsonrpc.String {
			tell(spec.NotificationResourceUpdated, append([]byte(`,"uri":`), uri.Raw()...))
		}
	}
}
