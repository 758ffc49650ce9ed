package upstream

import (
	"context"
	"fmt"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// duplex is what HTTP+SSE and stdio have in common: one stream brings all that
// the server says, and the session is bound to it. A transport that leaves its
// request to a library must keep the URL out of its errors, as url.Error does not:
// the query of Host.Target may hold a key.
type duplex struct {
	life *lifetime
	in   *inbox
	// lease is what is charged for the message that is being read; nil for nothing.
	lease *memory.Lease
	calls inFlight
}

// do makes a call whose request is sent by send, which runs in a goroutine of
// its own: the response may come before the server says that it took the
// request. ctx is the caller's; send's outlives it if the response came first.
func (d *duplex) do(ctx context.Context, r request, send func(context.Context) error) (*jsonrpc.Message, error) {
	p := d.calls.add(ctx, r)
	if p == nil {
		return nil, &unsentError{fmt.Errorf("the request id %s is in use", r.id)}
	}
	defer d.calls.remove(p)

	l := newLease(ctx, d.life.ctx)
	sent := make(chan error, 1)
	if !d.life.spawn(func() { defer l.end(); sent <- send(l.ctx) }) {
		l.end()
		return nil, &unsentError{context.Cause(d.life.ctx)}
	}
	var failed error
	for failed == nil {
		select {
		case m := <-p.answer:
			l.handOn(drainTime)
			return m, nil
		case failed = <-sent:
			sent = nil // nil: the server has taken it
		case failed = <-p.failed:
		case <-ctx.Done():
			failed = &interruptedError{context.Cause(ctx)}
		case <-d.life.ctx.Done():
			failed = &interruptedError{context.Cause(d.life.ctx)}
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
		return m, nil
	default:
		return nil, failed
	}
}

// receive takes what the server sent in one piece.
func (d *duplex) receive(b []byte) {
	messages, err := parse(b)
	if err != nil {
		d.unreadable(b, err)
		return
	}
	for _, m := range messages {
		switch {
		case !d.in.limits.oversized(m):
			d.dispatch(m)
		case m.Kind() != jsonrpc.Response || !d.calls.fail(m.ID(), d.in.limits.tooLong(false)):
			d.in.passOver(m.Kind() != jsonrpc.Response, m.ID())
		}
	}
}

// dispatch hands a message to whom it belongs. It is called by the one reader
// of the stream, which shows calls what belongs to them itself: what a server
// says is heard in its order, whether or not a call is in flight.
func (d *duplex) dispatch(m *jsonrpc.Message) {
	if m.Kind() == jsonrpc.Response {
		if !(m.ID().IsZero() && d.calls.misunderstood(m)) && !d.calls.answered(m, d.lease) {
			d.in.route(m, nil)
		}
		return
	}
	if p := d.calls.owner(m); p != nil && p.deliver(m, d.route) {
		return
	}
	d.route(m, nil)
}

// route hands a message to on; what belongs to no call is shared out where
// several sessions use the stream.
func (d *duplex) route(m *jsonrpc.Message, on func(*jsonrpc.Message)) {
	if on == nil {
		if h := d.calls.shared.Load(); h != nil {
			on = h.unaddressed
		}
	}
	d.in.route(m, on)
}

// unreadable takes what is no message. If it was meant as the answer to a call,
// that call ends with why; if it cannot be told to which call, all do that are
// in flight, since one of them would wait in vain.
func (d *duplex) unreadable(b []byte, why error) {
	if d.in.drops(b, why) {
		return
	}
	reason := &UnreadableError{why.Error()}
	id, _, ok := salvage(b)
	switch {
	case ok && !id.IsZero() && d.calls.fail(id, reason):
	case ok && !id.IsZero(): // the answer to a call that was given up
		d.in.ignore(fmt.Errorf("id %s: %w", id, why))
	case isMessage(b) && d.calls.failAll(reason):
	default:
		d.in.ignore(fmt.Errorf("%w: %s", why, snippet(b)))
	}
}

// skimmed takes what was too long to be kept.
func (d *duplex) skimmed(m *skim) {
	id, tooLong := m.ID(), d.in.limits.tooLong(m.short)
	switch {
	case m.IsResponse() && !id.IsZero() && d.calls.fail(id, tooLong):
	case m.IsMessage() && !m.IsCall() && id.IsZero() && d.calls.failAll(tooLong):
	default:
		d.in.passOver(m.IsCall(), id)
	}
}

// listen has nothing to do: the stream is there from the beginning.
func (d *duplex) listen(heard func()) { heard() }
