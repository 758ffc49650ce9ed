package session

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/slot"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

// serverRequest is a request of a server that the client is to answer: sampling,
// elicitation, roots, or one that we do not know.
type serverRequest struct {
	id     jsonrpc.ID     // ours, towards the client; its progress token too
	from   *slot.Upstream // who asks
	msg    *jsonrpc.Message
	call   *call // that waits for it; nil: none does
	answer chan *jsonrpc.Message
	lease  memory.Lease // of the request, as it came and as it goes out
	// passing closes when the progress that the client reported last has been passed
	// on; nil: it has reported none. It is guarded by questions.mu.
	passing chan struct{}
	// key and params are what a modern client is asked with.
	key    string
	params []byte

	once       sync.Once
	withdrew   chan struct{}    // closed when the server takes it back
	withdrawal *jsonrpc.Message // the server's word then; set before withdrew closes
}

// errWithdrawn: the server does not want the answer any more.
var errWithdrawn = errors.New("the server withdrew its request")

// newRequest takes a server's request in, which run ends. full reports that there were
// limit of them already, and it is to be refused, and the error that there is no memory
// for it. Where as many again are being refused it is dropped, and newRequest returns
// nil.
func (q *questions) newRequest(from *slot.Upstream, m *jsonrpc.Message, limit int) (a *serverRequest, full bool, err error) {
	a = &serverRequest{
		id:       jsonrpc.StringID(rand.Text()),
		from:     from,
		msg:      m,
		answer:   make(chan *jsonrpc.Message, 1),
		withdrew: make(chan struct{}),
		lease:    q.s.registry.opts.Memory.Lease(memory.Answer),
	}
	q.mu.Lock()
	n := len(q.byID)
	if n < 2*limit {
		q.byID[a.id] = a
	}
	q.mu.Unlock()
	if n >= 2*limit {
		return nil, true, nil
	}
	return a, n >= limit, a.lease.Grow(2 * len(m.Raw()))
}

// relay brings a server's request to the client, and the answer back.
func (q *questions) relay(from *slot.Upstream, m *jsonrpc.Message, c *call) {
	a, full, err := q.newRequest(from, m, q.s.life.current().Limits.Pending)
	if a == nil {
		return
	}
	a.call = c
	if full || err != nil {
		err = ErrPending
	}
	if c != nil {
		c.pause()
	}
	body := q.request(a)
	// Here and not on a goroutine, so that the client sees what the server said in the
	// order in which it was said.
	sent := err == nil && !q.s.sessionless && q.s.outlets.deliver(body, c.outlet())
	q.run(a, err, func(ctx context.Context, up *upstream.Session) ([]byte, error) {
		return q.await(ctx, up, a, body, sent)
	}, func(err error) []byte {
		return jsonrpc.NewError(m.ID(), jsonrpc.CodeInternalError, err.Error(), nil)
	})
}

// run answers a server's request, with what wait returns, on a goroutine of the
// session. err says why there is nothing to wait for; refusal makes an answer of an
// error.
func (q *questions) run(a *serverRequest, err error, wait func(context.Context, *upstream.Session) ([]byte, error), refusal func(error) []byte) {
	started := q.s.life.spawn(func() {
		defer q.finish(a)
		var answer []byte
		if err == nil {
			ctx, cancel := context.WithTimeoutCause(q.s.life.ctx, q.s.life.current().Timeouts.ServerRequest, errUnanswered)
			if up := a.from.Session(ctx); up != nil {
				answer, err = wait(ctx, up)
			} else {
				err = errNobody
			}
			cancel()
		}
		q.s.registry.opts.Trace.ServerRequest(q.s.route, a.cluster(), a.msg.Method(), err)
		if errors.Is(err, errWithdrawn) {
			return
		}
		if err != nil {
			answer = refusal(err)
		}
		a.reply(q.s.life.ctx, answer)
	})
	if !started {
		q.finish(a)
	}
}

// finish ends a server's request.
func (q *questions) finish(a *serverRequest) {
	a.lease.Release()
	q.mu.Lock()
	delete(q.byID, a.id)
	q.mu.Unlock()
	if a.key != "" {
		a.call.suspended.drop(a)
	}
	if a.call != nil {
		a.call.unpause()
	}
}

// await waits for the client's answer. sent: the client has the request already.
func (q *questions) await(ctx context.Context, up *upstream.Session, a *serverRequest, body []byte, sent bool) ([]byte, error) {
	if !sent && !q.mayListen(a.call) {
		return nil, errNobody
	}
	for !sent {
		added := q.s.outlets.next()
		if sent = q.s.outlets.deliver(body, a.call.outlet()); sent {
			break
		}
		select {
		case <-added:
		case <-a.withdrew:
			return nil, errWithdrawn
		case <-up.Done():
			return nil, upstream.ErrSessionLost
		case <-ctx.Done():
			return nil, errNobody
		}
	}
	m, err := a.wait(ctx, up)
	var e jsonrpc.Edits
	switch {
	case err == nil:
		q.passed(ctx, a)
		q.remember(a, m)
		e.SetID(m, a.msg.ID())
		q.s.related(&e, a.cluster(), m.Result().Get("_meta"))
		return e.Apply(m), nil
	case errors.Is(err, errWithdrawn):
		e.Replace(a.withdrawal.Params().Get("requestId"), []byte(a.id.Raw()))
		q.s.mapper(a.cluster()).Notification(&e, a.withdrawal.Method(), a.withdrawal.Params())
		q.s.outlets.deliver(e.Apply(a.withdrawal), a.call.outlet())
	default: // the answer is not wanted any more
		params := jsonrpc.NewObject("requestId", []byte(a.id.Raw()), "reason", err.Error())
		q.s.outlets.deliver(jsonrpc.NewNotification(spec.NotificationCancelled, params), a.call.outlet())
	}
	return nil, err
}

// wait waits for the client's answer.
func (r *serverRequest) wait(ctx context.Context, up *upstream.Session) (*jsonrpc.Message, error) {
	select {
	case m := <-r.answer:
		return m, nil
	case <-r.withdrew:
		return nil, errWithdrawn
	case <-up.Done():
		return nil, upstream.ErrSessionLost
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// mayListen reports whether a client may yet take a request: not when it
// accepts JSON alone and has no other stream, nor without a session.
func (q *questions) mayListen(c *call) bool {
	return !q.s.sessionless && (c == nil || c.out.Open() || q.s.outlets.listening())
}

// request is the server's request as the client gets it.
func (q *questions) request(r *serverRequest) []byte {
	var e jsonrpc.Edits
	e.SetID(r.msg, r.id)
	if token := r.token(); token.Exists() {
		e.Replace(token, []byte(r.id.Raw()))
	}
	q.s.mapper(r.cluster()).Request(&e, r.msg.Method(), r.msg.Params())
	return e.Apply(r.msg)
}

func (r *serverRequest) cluster() string { return r.from.Slot().Cluster() }

func (r *serverRequest) token() jsonrpc.Value { return r.msg.Params().Get("_meta", "progressToken") }

// reply sends the answer to the server that asked.
func (r *serverRequest) reply(ctx context.Context, answer []byte) {
	ctx, cancel := context.WithTimeout(ctx, slot.SendTimeout)
	defer cancel()
	// A server that is gone needs no answer, and one that does not take it
	// sees its own timeout.
	if up := r.from.Session(ctx); up != nil {
		_ = up.Send(ctx, answer)
	}
}

// advance passes the client's progress on a server's request on.
func (q *questions) advance(ctx context.Context, m *jsonrpc.Message) error {
	token := m.Params().Get("progressToken")
	a := q.find(token.ID())
	if a == nil || !a.token().Exists() {
		return nil
	}
	up := a.from.Session(ctx)
	if up == nil {
		return upstream.ErrSessionLost
	}
	var e jsonrpc.Edits
	e.Replace(token, a.token().Raw())
	return up.Send(ctx, e.Apply(m))
}
