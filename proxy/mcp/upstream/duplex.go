package upstream

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// maxQueued is how many messages wait for a call that is busy with one; then
// the stream waits.
const maxQueued = 16

// duplex matches what comes on the one stream of HTTP+SSE and stdio with the
// calls in flight.
type duplex struct {
	s     *Session
	mu    sync.Mutex
	calls map[jsonrpc.ID]*pending
}

// pending is a call in flight.
type pending struct {
	in   chan *jsonrpc.Message
	gone chan struct{} // the call has returned
	// failed gets why the call has no answer that can be read.
	failed chan error
}

func newDuplex(s *Session) duplex { return duplex{s: s, calls: map[jsonrpc.ID]*pending{}} }

// do makes a call whose request is sent by send, which runs in a goroutine of
// its own: the response may come before the server says that it took the
// request. ctx is the caller's; send's outlives it if the response came first.
func (d *duplex) do(ctx context.Context, id jsonrpc.ID, on func(*jsonrpc.Message), send func(context.Context) error) (*jsonrpc.Message, error) {
	p := &pending{make(chan *jsonrpc.Message, maxQueued), make(chan struct{}), make(chan error, 1)}
	d.mu.Lock()
	_, taken := d.calls[id]
	if !taken {
		d.calls[id] = p
	}
	d.mu.Unlock()
	if taken {
		return nil, &unsentError{fmt.Errorf("the request id %s is in use", id)}
	}
	defer d.leave(id, p)

	l := newLease(ctx, d.s.life)
	sent := make(chan error, 1)
	if !d.s.spawn(func() { defer l.end(); sent <- send(l.ctx) }) {
		l.end()
		return nil, &unsentError{context.Cause(d.s.life)}
	}
	var failed error
	for {
		var m *jsonrpc.Message
		if failed == nil {
			select {
			case m = <-p.in:
			case failed = <-sent:
				sent = nil
				continue
			case failed = <-p.failed:
			case <-ctx.Done():
				failed = &interruptedError{context.Cause(ctx)}
			case <-d.s.life.Done():
				failed = &interruptedError{context.Cause(d.s.life)}
			}
		}
		if m == nil {
			select {
			case m = <-p.in: // it came before, or with, the failure
			default:
				return nil, failed
			}
		}
		if m.Kind() == jsonrpc.Response {
			l.handOn(drainTime)
			return answerTo(id, m), nil
		}
		d.s.route(m, on)
	}
}

// leave ends a call. The messages that the reader has handed to it and it has
// not taken are the session's, in the order in which they came: those right
// behind the answer often do not concern the call. The call does not wait for
// more of them than fit into its queue.
func (d *duplex) leave(id jsonrpc.ID, p *pending) {
	for n := 0; ; n++ {
		d.mu.Lock()
		if n == maxQueued || len(p.in) == 0 {
			delete(d.calls, id)
			close(p.gone)
			d.mu.Unlock()
			break
		}
		d.mu.Unlock()
		d.s.route(<-p.in, nil)
	}
	d.handBack(p)
}

// handBack routes what is left in the queue of a call that has returned.
func (d *duplex) handBack(p *pending) {
	for {
		select {
		case m := <-p.in:
			d.s.route(m, nil)
		default:
			return
		}
	}
}

// dispatch hands a message to the call that it belongs to. It is called by the
// one reader of the stream, and waits while the call is busy.
func (d *duplex) dispatch(m *jsonrpc.Message) {
	if m.Kind() == jsonrpc.Response && m.ID().IsZero() && d.dispatchToAll(m) {
		return
	}
	p := d.owner(m)
	if p == nil {
		d.s.route(m, nil)
		return
	}
	d.deliver(p, m)
}

// dispatchToAll hands an error without an id to all calls in flight, and
// reports whether there are any: the server has not understood one of them, and
// will not answer it (JSON-RPC 2.0, section 5).
func (d *duplex) dispatchToAll(m *jsonrpc.Message) bool {
	d.mu.Lock()
	calls := slices.Collect(maps.Values(d.calls))
	d.mu.Unlock()
	for _, p := range calls {
		d.deliver(p, m)
	}
	return len(calls) > 0
}

func (d *duplex) deliver(p *pending, m *jsonrpc.Message) {
	select {
	case p.in <- m:
		select {
		case <-p.gone: // in the same moment, so that the call may have missed it
			d.handBack(p)
		default:
		}
	case <-p.gone:
		d.s.route(m, nil)
	case <-d.s.life.Done():
	}
}

// owner returns the call that a message belongs to. This transport does not
// say which call a notification or a request of the server is about; while
// there is one call only, it is that one.
func (d *duplex) owner(m *jsonrpc.Message) *pending {
	d.mu.Lock()
	defer d.mu.Unlock()
	if m.Kind() == jsonrpc.Response {
		return d.callLocked(m.ID())
	}
	if id := m.Params().Get("_meta", jsonrpc.MetaSubscriptionID).ID(); !id.IsZero() {
		return d.calls[id]
	}
	if len(d.calls) == 1 && m.Method() != "ping" {
		for _, p := range d.calls {
			return p
		}
	}
	return nil
}
