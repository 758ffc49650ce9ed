package session

import (
	"context"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/slot"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// owner is a session as its slots see it, and takes what their servers say. It
// implements [slot.Owner].
type owner struct{ s *session }

// Go implements [slot.Owner].
func (o owner) Go(f func(ctx context.Context)) bool {
	return o.s.life.spawn(func() { f(o.s.life.ctx) })
}

// ListsChanged implements [slot.Owner].
func (o owner) ListsChanged() { o.s.outlets.changed(spec.ListChanges()...) }

// Listening implements [slot.Owner].
func (o owner) Listening() bool { return o.s.outlets.listening() }

// Lesser implements [slot.Owner].
func (o owner) Lesser() { o.s.end("upstream_changed", slot.ErrChanged) }

// Received implements [slot.Owner].
func (o owner) Received(from *slot.Upstream, m *jsonrpc.Message) { o.received(from, m, nil) }

// received takes what a server says on its own account, with the answer to c if there
// is one. It must not block: other messages of the server wait behind it.
func (o owner) received(from *slot.Upstream, m *jsonrpc.Message, c *call) {
	related := c != nil && !from.Kind().OneStream() // elsewhere it is guessed
	if c == nil && o.s.modern {
		c = o.s.calls.only() // a borrowed session has one call at a time
	}
	if c != nil {
		c.touch()
	}
	cluster, method := from.Slot().Cluster(), m.Method()
	if m.Kind() == jsonrpc.Notification && spec.IsListChange(method) {
		o.listChanged(cluster, m, c)
		return
	}
	o.s.outlets.flush()
	switch {
	case m.Kind() == jsonrpc.Request && o.s.modern:
		o.s.questions.require(from, m, c, related)
	case m.Kind() == jsonrpc.Request:
		o.s.questions.relay(from, m, c)
	case method == spec.NotificationProgress:
		from.Progress(m)
	case method == spec.NotificationCancelled:
		o.s.questions.withdraw(from, m)
	case o.s.modern:
		o.informed(cluster, m, c)
	default:
		o.s.outlets.tell(o.mapped(cluster, m), c.outlet())
	}
}

// listChanged passes on what a server says of its lists: byte for byte, and in
// the order of all that it says. In a federation it waits for others of its
// kind, unless the server goes on to say something else.
func (o owner) listChanged(cluster string, m *jsonrpc.Message, c *call) {
	o.s.registry.searches.forget(o.s.route, cluster, spec.ListOfChange(m.Method()))
	if !o.s.outlets.wants(m.Method()) {
		return
	}
	n := notice{list: m.Method(), msg: o.mapped(cluster, m)}
	if sub := o.s.outlets.subscription.Load(); sub != nil {
		n.msg = sub.tag(n.msg)
	}
	if len(n.msg) > missedBytes {
		n.msg = nil // it says no more than that there is a change
	}
	if o.s.naming.Transparent(o.s.life.current().Members) {
		o.s.outlets.pass(n, c.outlet())
	} else {
		o.s.outlets.merge(n)
	}
}

// informed passes a server's notification on to a modern client: on the stream
// of the call that it belongs to, or on one that was opened for it.
func (o owner) informed(cluster string, m *jsonrpc.Message, c *call) {
	sub := o.s.outlets.subscription.Load()
	if sub == nil {
		// A client that asks for no log gets none (MCP 2026-07-28, Logging).
		if m.Method() != spec.NotificationMessage || o.s.servers.logLevel() != "" {
			o.s.outlets.tell(o.mapped(cluster, m), c.outlet())
		}
		return
	}
	mapped, err := jsonrpc.Parse(o.mapped(cluster, m))
	if err != nil || !sub.wants(mapped) {
		return
	}
	o.s.outlets.tell(sub.tagged(mapped), nil)
}

// mapped is a notification of a server as the client gets it.
func (o owner) mapped(cluster string, m *jsonrpc.Message) []byte {
	var e jsonrpc.Edits
	o.s.mapper(cluster).Notification(&e, m.Method(), m.Params())
	return e.Apply(m)
}
