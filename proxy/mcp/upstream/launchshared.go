package upstream

import (
	"context"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// launch opens a session with a command: where the server has none, in the
// process that all share.
func (o *opening) launch(ctx context.Context) (*Session, error) {
	if s, err := o.adopt(ctx); s != nil || err != nil {
		return s, err
	}
	if o.opts.Alone || o.forced != spec.Modern && !o.asks(o.known.get()) {
		return o.launchOwn(ctx)
	}
	if err := o.endpoint.Await(ctx, o.opts.Backoff); err != nil {
		return nil, err
	}
	all := &o.client.shared
	if o.check != nil && o.check.anew {
		return o.found(ctx, all.newProcess(o.endpoint))
	}
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
		if !o.asks(o.known.get()) && o.forced != spec.Modern {
			break // it was found to have sessions
		}
	}
	return o.launchOwn(ctx)
}

// found starts a process and makes it h, the one that all share, if the server has
// no sessions.
func (o *opening) found(ctx context.Context, h *sharedProcess) (*Session, error) {
	all := &o.client.shared
	s, err := o.launchOwn(ctx)
	if err != nil || !s.server.Modern() {
		all.drop(h)
		return s, err
	}
	installed := all.install(h, s, o.check != nil && o.check.anew)
	g, err := o.join(ctx, installed)
	if installed == h {
		return g, err
	}
	all.drop(h)
	if err != nil || !g.life.spawn(func() { s.Close(context.Background()) }) { // a process is stopped in bounded time
		s.Close(context.Background())
	}
	return g, err
}

// join opens a session with the process of h, which has counted it in.
func (o *opening) join(ctx context.Context, h *sharedProcess) (*Session, error) {
	s := o.newSession()
	s.ids = h.session.ids
	h.session.limits.raise(o.opts.MaxMessage, o.opts.MaxResult)
	m := &member{transport: h.session.transport, process: h, life: s.life, in: s.in, backoff: o.opts.Backoff}
	s.use(m)
	h.add(m)
	m.part = context.AfterFunc(h.session.life.ctx, func() { s.life.end(context.Cause(h.session.life.ctx)) })
	if err := o.discover(ctx, s); err != nil {
		s.Close(ctx)
		return nil, err
	}
	if era, ok := s.era.(*stateless); ok {
		m.subscriptions.Store(era.subscriptions)
	}
	return s, nil
}
