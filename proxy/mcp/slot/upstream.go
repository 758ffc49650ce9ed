package slot

import (
	"context"
	"errors"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

// Upstream is one upstream session of a slot. Servers speak before it is open.
type Upstream struct {
	slot    *Slot
	ready   chan struct{}     // closed when session is set, or never will be
	session *upstream.Session // nil: it could not be opened

	// What follows is guarded by the slot's lock.

	calls map[jsonrpc.ID]*Call // by our id, which is the progress token too
	uses  int
	stale bool // on a pool that is to be left when idle
}

// Slot returns the slot that it belongs to.
func (u *Upstream) Slot() *Slot { return u.slot }

// Kind is the transport of an upstream session that is open.
func (u *Upstream) Kind() upstream.Kind { return u.session.Server().Kind }

// Session returns the upstream session once it is open. It returns nil when it could
// not be opened, or ctx is done.
func (u *Upstream) Session(ctx context.Context) *upstream.Session {
	select {
	case <-u.ready:
		return u.session
	case <-ctx.Done():
		return nil
	}
}

// Progress gives a server's notification of progress to the call that it is of.
func (u *Upstream) Progress(m *jsonrpc.Message) {
	u.slot.mu.Lock()
	c := u.calls[m.Params().Get("progressToken").ID()]
	u.slot.mu.Unlock()
	if c != nil {
		c.Sink.Progress(m)
	}
}

// exchange sends a request and releases u.
func (u *Upstream) exchange(ctx context.Context, c *Call, build func(*upstream.Server, jsonrpc.ID) []byte) (*jsonrpc.Message, error) {
	defer u.release()
	id := u.session.NextID()
	u.slot.mu.Lock()
	u.calls[id] = c
	u.slot.mu.Unlock()
	defer func() {
		u.slot.mu.Lock()
		delete(u.calls, id)
		u.slot.mu.Unlock()
	}()
	c.Info.SetEndpoint(u.session.Endpoint().ID())
	ctx = upstream.WithCaller(upstream.WithHeader(ctx, c.Header), &c.Caller)
	m, err := u.session.Call(ctx, build(u.session.Server(), id), id, func(m *jsonrpc.Message) { c.Sink.Received(u, m) })
	if err != nil && ctx.Err() != nil {
		u.abandon(id, context.Cause(ctx))
	}
	return m, err
}

// abandon tells the server that no client waits for the answer any more.
func (u *Upstream) abandon(id jsonrpc.ID, cause error) {
	msg := jsonrpc.NewNotification(spec.NotificationCancelled, jsonrpc.NewObject("requestId", []byte(id.Raw())))
	var c Canceled
	if errors.As(cause, &c) {
		msg = c.Notification(u.slot.cfg.Cluster, id)
	}
	u.slot.mu.Lock()
	u.uses++ // a session that is being closed is closed after this
	u.slot.mu.Unlock()
	u.slot.cfg.Background(func() {
		defer u.release()
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		_ = u.session.Send(ctx, msg)
	})
}

// alive reports whether u can be used. One whose process was taken while nothing used
// it may not know of its end yet.
func (u *Upstream) alive() bool {
	if process := u.session.Process(); process != nil && process.Taken() {
		return false
	}
	select {
	case <-u.session.Done():
		return false
	default:
		return true
	}
}

// release ends a use.
func (u *Upstream) release() {
	s := u.slot
	s.mu.Lock()
	defer s.mu.Unlock()
	u.uses--
	switch {
	case u.uses > 0:
	case s.up != u:
		u.closeLocked()
	case u.stale:
		s.detachLocked()
		s.reviveLocked()
	}
}

// closeLocked closes it in the background: servers are slow to part.
func (u *Upstream) closeLocked() { u.slot.cfg.Background(u.close) }

func (u *Upstream) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	u.session.Close(ctx)
}

// ended is told that the upstream session has ended.
func (u *Upstream) ended(err error) {
	<-u.ready
	s := u.slot
	s.mu.Lock()
	open := s.loseLocked(u)
	s.mu.Unlock()
	if err != nil && open {
		s.cfg.Lost(s.cfg.Route, s.cfg.Cluster, u.session.Endpoint().ID(), err)
	}
}
