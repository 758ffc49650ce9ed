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
	all := &o.opts.Transports.shared
	for h, found := all.find(o.endpoint); h != nil; h, found = all.find(o.endpoint) {
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
func (o *opening) found(ctx context.Context, h *sharedProcess) (*Session, error) {
	all := &o.opts.Transports.shared
	awaited := h != nil
	s, err := o.launchOwn(ctx)
	if err != nil || !s.Modern() {
		if awaited {
			all.drop(h)
		}
		return s, err
	}
	if !awaited {
		h = all.newSharedProcess(o.endpoint)
	}
	installed := all.install(h, s, o.opts.Anew)
	g, err := o.join(ctx, installed)
	if installed == h {
		return g, err
	}
	if awaited {
		all.drop(h)
	}
	if err != nil || !g.spawn(func() { s.Close(context.Background()) }) { // a process is stopped in bounded time
		s.Close(context.Background())
	}
	return g, err
}

// join opens a session with the process of h, which has counted it in.
func (o *opening) join(ctx context.Context, h *sharedProcess) (*Session, error) {
	s := newSession(o.opts, Stdio)
	s.cluster, s.forced = o.cluster, o.forced
	s.ids = h.session.ids
	h.session.reads(s.opts)
	g := &sharedTransport{process: h, s: s, stdio: h.session.transport}
	s.transport = g
	h.all.mu.Lock()
	h.members[s] = struct{}{}
	h.all.mu.Unlock()
	g.part = context.AfterFunc(h.session.life, func() { s.end(context.Cause(h.session.life)) })
	learn, known := o.shared(o.cluster, o.endpoint)
	if err := o.discover(ctx, s, learn, known); err != nil {
		s.Close(ctx)
		return nil, err
	}
	return s, nil
}

// sharedTransport is the transport of a session that shares a process with others.
type sharedTransport struct {
	process *sharedProcess
	s       *Session
	stdio   transport   // of the session that has the process
	part    func() bool // unties the session's life from that one's
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

func (g *sharedTransport) call(ctx context.Context, req []byte, id jsonrpc.ID, on func(*jsonrpc.Message)) (*jsonrpc.Message, error) {
	isCall := !routingOf(ctx).quiet
	if err := g.process.begin(g.s, isCall); err != nil {
		g.s.end(err)
		return nil, &unsentError{err}
	}
	defer g.process.end(g.s, isCall)
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
func (g *sharedTransport) cancel(id jsonrpc.ID) {
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

func (g *sharedTransport) send(ctx context.Context, msg []byte) error { return g.stdio.send(ctx, msg) }

func (g *sharedTransport) listen()                        {}
func (g *sharedTransport) endpoint() *clusters.Endpoint   { return g.stdio.endpoint() }
func (g *sharedTransport) rebind(*clusters.Endpoint) bool { return false }

func (g *sharedTransport) close(ctx context.Context) {
	g.part()
	g.process.leave(ctx, g.s)
}
