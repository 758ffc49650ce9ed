package upstream

import (
	"context"
	"fmt"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// launch opens a session with a command: where the server has none, in the
// process that all share.
func (o *opening) launch(ctx context.Context) (*Session, error) {
	if s, err := o.adopt(ctx); s != nil || err != nil {
		return s, err
	}
	_, known := o.shared(o.cluster, o.endpoint)
	if o.opts.Transports == nil || o.opts.Alone || o.forced != spec.Modern && !o.asks(known()) {
		return o.launchOwn(ctx)
	}
	if err := o.endpoint.Await(ctx, o.opts.Backoff); err != nil {
		return nil, err
	}
	if o.opts.Anew {
		return o.found(ctx, nil)
	}
	hosts := &o.opts.Transports.hosts
	for h, found := hosts.find(o.endpoint); h != nil; h, found = hosts.find(o.endpoint) {
		if !found {
			return o.found(ctx, h)
		}
		if err := h.await(ctx); err != nil {
			return nil, err
		}
		if h.enter() {
			s, err := o.join(ctx, h)
			if err == nil || ctx.Err() != nil {
				return s, err
			}
			break // the server has changed its mind about sessions
		}
		if !o.asks(known()) && o.forced != spec.Modern {
			break // it was found to have sessions
		}
	}
	return o.launchOwn(ctx)
}

// found starts a process and makes it the one that all share, if the server has
// no sessions. h is what other sessions wait for; nil: they do not.
func (o *opening) found(ctx context.Context, h *host) (*Session, error) {
	hosts := &o.opts.Transports.hosts
	awaited := h != nil
	s, err := o.launchOwn(ctx)
	if err != nil || !s.Modern() {
		if awaited {
			hosts.drop(h)
		}
		return s, err
	}
	if !awaited {
		h = hosts.newHost(o.endpoint)
	}
	host := hosts.install(h, s, o.opts.Anew)
	g, err := o.join(ctx, host)
	if host == h {
		return g, err
	}
	if awaited {
		hosts.drop(h)
	}
	if err != nil || !g.spawn(func() { s.Close(context.Background()) }) { // a process is stopped in bounded time
		s.Close(context.Background())
	}
	return g, err
}

// join opens a session as a guest of h, which has counted it in.
func (o *opening) join(ctx context.Context, h *host) (*Session, error) {
	s := newSession(o.opts, Stdio)
	s.cluster, s.forced = o.cluster, o.forced
	s.ids = h.session.ids
	h.session.reads(s.opts)
	g := &guest{host: h, s: s, stdio: h.session.transport}
	s.transport = g
	h.hosts.mu.Lock()
	h.members[s] = struct{}{}
	h.hosts.mu.Unlock()
	g.part = context.AfterFunc(h.session.life, func() { s.end(context.Cause(h.session.life)) })
	learn, known := o.shared(o.cluster, o.endpoint)
	if err := o.discover(ctx, s, learn, known); err != nil {
		s.Close(ctx)
		return nil, err
	}
	return s, nil
}

// guest is the transport of a session that shares a process with others.
type guest struct {
	host  *host
	s     *Session
	stdio transport   // the host's
	part  func() bool // unties the session's life from the host's
}

// routing says which of what comes on a stream that several calls have in common
// is about a call.
type routing struct {
	by    *Session
	token jsonrpc.ID // of its progress
	// quiet: it is a subscription or the gateway's own question. What the server
	// says without saying to whom is not about it.
	quiet bool
}

type routingKey struct{}

func (s *Session) withRouting(ctx context.Context, m *jsonrpc.Message) context.Context {
	method := m.Method()
	return context.WithValue(ctx, routingKey{}, routing{
		by:    s,
		token: m.Params().Get("_meta", "progressToken").ID(),
		quiet: method == spec.SubscriptionsListen || method == spec.ServerDiscover,
	})
}

func routingOf(ctx context.Context) routing {
	r, _ := ctx.Value(routingKey{}).(routing)
	return r
}

func (g *guest) call(ctx context.Context, req []byte, id jsonrpc.ID, on func(*jsonrpc.Message)) (*jsonrpc.Message, error) {
	isCall := !routingOf(ctx).quiet
	if err := g.host.begin(g.s, isCall); err != nil {
		g.s.end(err)
		return nil, &unsentError{err}
	}
	defer g.host.end(g.s, isCall)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(g.s.life, func() { cancel(context.Cause(g.s.life)) })()
	m, err := g.stdio.call(ctx, req, id, func(m *jsonrpc.Message) {
		if g.s.oversized(m) {
			g.s.passOver(m)
			return
		}
		g.s.route(m, on)
	})
	switch {
	case err != nil && g.s.life.Err() != nil:
		g.cancel(id) // the session has gone, and the process has not
	case err == nil && g.s.oversized(m):
		return nil, g.s.tooLong(false)
	}
	return m, err
}

// cancel tells the server that no one waits for an answer.
func (g *guest) cancel(id jsonrpc.ID) {
	ctx, cancel := context.WithTimeout(context.Background(), cancelTime)
	defer cancel()
	_ = g.send(ctx, cancelled(id)) // where the process is gone too there is nothing to tell
}

// cancelTime bounds the sending of a cancellation.
const cancelTime = time.Second

// cancelled is the cancellation of a request.
func cancelled(id jsonrpc.ID) []byte {
	return jsonrpc.NewNotification(spec.NotificationCancelled, fmt.Appendf(nil, `{"requestId":%s}`, id.Raw()))
}

func (g *guest) send(ctx context.Context, msg []byte) error { return g.stdio.send(ctx, msg) }

func (g *guest) listen()                        {}
func (g *guest) endpoint() *clusters.Endpoint   { return g.stdio.endpoint() }
func (g *guest) rebind(*clusters.Endpoint) bool { return false }

func (g *guest) close(ctx context.Context) {
	g.part()
	g.host.leave(ctx, g.s)
}
