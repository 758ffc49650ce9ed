package upstream

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// duplex matches what comes on the one stream of HTTP+SSE and stdio with the
// calls in flight.
type duplex struct {
	s *Session
	// lease is what is charged for the message that is being read; nil for nothing.
	lease *memory.Lease
	mu    sync.Mutex
	calls map[jsonrpc.ID]*pending
	made  uint64 // calls, ever
}

// pending is a call in flight.
type pending struct {
	answer chan *jsonrpc.Message // has room for the response
	// caller takes over what the response is charged; it may be nil.
	caller *Caller
	// failed gets why the call has no answer that can be read.
	failed chan error
	routing
	id  jsonrpc.ID
	nth uint64 // of all calls

	mu   sync.Mutex
	on   func(*jsonrpc.Message)
	gone bool // the call has returned
}

func newDuplex(s *Session) duplex { return duplex{s: s, calls: map[jsonrpc.ID]*pending{}} }

// do makes a call whose request is sent by send, which runs in a goroutine of
// its own: the response may come before the server says that it took the
// request. ctx is the caller's; send's outlives it if the response came first.
func (d *duplex) do(ctx context.Context, id jsonrpc.ID, on func(*jsonrpc.Message), send func(context.Context) error) (*jsonrpc.Message, error) {
	p := &pending{
		id: id, answer: make(chan *jsonrpc.Message, 1), failed: make(chan error, 1),
		caller: callerOf(ctx), routing: routingOf(ctx), on: on,
	}
	d.mu.Lock()
	_, taken := d.calls[id]
	if !taken {
		d.made++
		p.nth = d.made
		d.calls[id] = p
	}
	d.mu.Unlock()
	if taken {
		return nil, &unsentError{fmt.Errorf("the request id %s is in use", id)}
	}
	defer func() {
		d.mu.Lock()
		if d.calls[id] == p {
			delete(d.calls, id)
		}
		d.mu.Unlock()
		p.mu.Lock()
		p.gone = true
		p.mu.Unlock()
	}()

	l := newLease(ctx, d.s.life)
	sent := make(chan error, 1)
	if !d.s.spawn(func() { defer l.end(); sent <- send(l.ctx) }) {
		l.end()
		return nil, &unsentError{context.Cause(d.s.life)}
	}
	var failed error
	for failed == nil {
		select {
		case m := <-p.answer:
			l.handOn(drainTime)
			return answerTo(id, m), nil
		case failed = <-sent:
			sent = nil // nil: the server has taken it
		case failed = <-p.failed:
		case <-ctx.Done():
			failed = &interruptedError{context.Cause(ctx)}
		case <-d.s.life.Done():
			failed = &interruptedError{context.Cause(d.s.life)}
			if sent == nil {
				break
			}
			// The end of the session's life ends send, too.
			if err := <-sent; NotSent(err) {
				failed = err
			}
		}
	}
	select {
	case m := <-p.answer: // it came before, or with, the failure
		l.handOn(drainTime)
		return answerTo(id, m), nil
	default:
		return nil, failed
	}
}

// dispatch hands a message to whom it belongs. It is called by the one reader
// of the stream, which shows calls what belongs to them itself: what a server
// says is heard in its order, whether or not a call is in flight.
func (d *duplex) dispatch(m *jsonrpc.Message) {
	if m.Kind() == jsonrpc.Response {
		if !(m.ID().IsZero() && d.dispatchError(m)) && !d.answer(m) {
			d.s.route(m, nil)
		}
		return
	}
	p := d.owner(m)
	if p == nil {
		d.s.route(m, nil)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		d.s.route(m, nil)
		return
	}
	d.s.route(m, p.on)
}

// answer ends the call whose response m is. It reports false if there is none.
func (d *duplex) answer(m *jsonrpc.Message) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.callLocked(m.ID())
	if p == nil {
		return false
	}
	// What the server says from now on is not about this call.
	maps.DeleteFunc(d.calls, func(_ jsonrpc.ID, other *pending) bool { return other == p })
	if d.lease != nil {
		p.caller.take(d.lease)
	}
	p.answer <- m
	return true
}

// dispatchError hands an error without an id to the calls that it may be about,
// and reports whether there are any: the server has not understood one of them,
// and will not answer it (JSON-RPC 2.0, section 5).
func (d *duplex) dispatchError(m *jsonrpc.Message) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	suspects := d.suspectsLocked(true)
	for _, p := range suspects {
		delete(d.calls, p.id)
		p.answer <- m
	}
	return len(suspects) > 0
}

// owner returns the call that a notification or a request belongs to. What does
// not say which call it is about belongs to the only one.
func (d *duplex) owner(m *jsonrpc.Message) *pending {
	d.mu.Lock()
	defer d.mu.Unlock()
	if id := m.Params().Get("_meta", jsonrpc.MetaSubscriptionID).ID(); !id.IsZero() {
		return d.callLocked(id)
	}
	switch m.Method() {
	case spec.Ping:
		return nil
	case spec.NotificationProgress:
		if p := d.reportedLocked(m.Params().Get("progressToken").ID()); p != nil {
			return p
		}
	}
	var only *pending
	for _, p := range d.calls {
		switch {
		case p.quiet:
		case only != nil:
			return nil
		default:
			only = p
		}
	}
	if h := d.s.shared.Load(); only != nil && h != nil && h.onlyCaller() != only.by {
		return nil // a call of another session, which has ended, may go on in the server
	}
	return only
}

// reportedLocked returns the call whose progress has this token.
func (d *duplex) reportedLocked(token jsonrpc.ID) *pending {
	if p := d.callLocked(token); p != nil && p.token == p.id {
		return p
	}
	for _, p := range d.calls {
		if !p.token.IsZero() && (p.token == token || p.token == token.Twin()) {
			return p
		}
	}
	return nil
}
