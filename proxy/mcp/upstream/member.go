package upstream

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters/process"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// member is the transport of a session that shares a process with others: the
// stdio of the process, and what concerns this session alone.
type member struct {
	transport // of the session that has the process
	process   *sharedProcess
	life      *lifetime
	in        *inbox
	backoff   *process.Backoff // of the session's owner; it may be nil
	part      func() bool      // unties the session's life from that of the process
	// subscriptions are the session's; nil while it is being opened.
	subscriptions atomic.Pointer[subscriptions]
}

func (m *member) call(ctx context.Context, r request) (*jsonrpc.Message, error) {
	isCall, on := !r.quiet, r.on
	if err := m.process.begin(m, isCall); err != nil {
		m.life.end(err)
		return nil, &unsentError{err}
	}
	defer m.process.end(m, isCall)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(m.life.ctx, func() { cancel(context.Cause(m.life.ctx)) })()
	r.by = m
	r.on = func(got *jsonrpc.Message) {
		if m.in.limits.oversized(got) {
			m.in.passOver(got.Kind() != jsonrpc.Response, got.ID())
			return
		}
		m.in.route(got, on)
	}
	answer, err := m.transport.call(ctx, r)
	switch {
	case err != nil && m.life.over():
		cancelCall(m, r.id) // the session has gone, and the process has not
	case err == nil && m.in.limits.oversized(answer):
		return nil, m.in.limits.tooLong(false)
	}
	return answer, err
}

// cancelTime bounds the sending of a cancellation.
const cancelTime = time.Second

// cancelCall tells the server that no one waits for an answer. A server that is gone
// too need not be told.
func cancelCall(t transport, id jsonrpc.ID) {
	ctx, cancel := context.WithTimeout(context.Background(), cancelTime)
	defer cancel()
	_ = t.send(ctx, jsonrpc.NewNotification(spec.NotificationCancelled, fmt.Appendf(nil, `{"requestId":%s}`, id.Raw())))
}

func (m *member) close(ctx context.Context) {
	m.part()
	m.process.leave(ctx, m)
}
