package upstream

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// inFlight is the table of the calls in flight on one stream: it tells which of
// them a message is about. Its methods may be called from any goroutine.
type inFlight struct {
	mu   sync.Mutex
	by   map[jsonrpc.ID]*pending
	made uint64 // calls, ever
	// shared is the process that several sessions share, once they do.
	shared atomic.Pointer[sharedProcess]
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

// add begins a call. It returns nil where its id is in use.
func (f *inFlight) add(ctx context.Context, r request) *pending {
	p := &pending{
		id: r.id, answer: make(chan *jsonrpc.Message, 1), failed: make(chan error, 1),
		caller: callerOf(ctx), routing: r.routing, on: r.on,
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, taken := f.by[r.id]; taken {
		return nil
	}
	if f.by == nil {
		f.by = map[jsonrpc.ID]*pending{}
	}
	f.made++
	p.nth = f.made
	f.by[r.id] = p
	return p
}

// remove ends a call that has returned.
func (f *inFlight) remove(p *pending) {
	f.mu.Lock()
	if f.by[p.id] == p {
		delete(f.by, p.id)
	}
	f.mu.Unlock()
	p.mu.Lock()
	p.gone = true
	p.mu.Unlock()
}

// answered ends the call whose response m is, and moves to it what m is charged;
// lease may be nil. It reports false if there is no such call.
func (f *inFlight) answered(m *jsonrpc.Message, lease *memory.Lease) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.callLocked(m.ID())
	if p == nil {
		return false
	}
	// What the server says from now on is not about this call.
	maps.DeleteFunc(f.by, func(_ jsonrpc.ID, other *pending) bool { return other == p })
	if lease != nil {
		p.caller.take(lease)
	}
	p.answer <- m
	return true
}

// misunderstood hands an error without an id to the calls that it may be about,
// and reports whether there are any: the server has not understood one of them,
// and will not answer it (JSON-RPC 2.0, section 5).
func (f *inFlight) misunderstood(m *jsonrpc.Message) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	suspects := f.suspectsLocked(true)
	for _, p := range suspects {
		delete(f.by, p.id)
		p.answer <- m
	}
	return len(suspects) > 0
}

// fail ends a call with err, and reports whether there is one with this id.
func (f *inFlight) fail(id jsonrpc.ID, err error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.callLocked(id)
	if p != nil {
		p.fail(err)
	}
	return p != nil
}

// failAll ends the calls that an answer without an id may be about with err, and
// reports whether there are any.
func (f *inFlight) failAll(err error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	suspects := f.suspectsLocked(false)
	for _, p := range suspects {
		p.fail(err)
	}
	return len(suspects) > 0
}

// owner returns the call that a notification or a request belongs to. What does
// not say which call it is about belongs to the only one.
func (f *inFlight) owner(m *jsonrpc.Message) *pending {
	f.mu.Lock()
	defer f.mu.Unlock()
	if id := m.Params().Get("_meta", jsonrpc.MetaSubscriptionID).ID(); !id.IsZero() {
		return f.callLocked(id)
	}
	switch m.Method() {
	case spec.Ping:
		return nil
	case spec.NotificationProgress:
		if p := f.reportedLocked(m.Params().Get("progressToken").ID()); p != nil {
			return p
		}
	}
	var only *pending
	for _, p := range f.by {
		switch {
		case p.quiet:
		case only != nil:
			return nil
		default:
			only = p
		}
	}
	if h := f.shared.Load(); only != nil && h != nil && h.onlyCaller() != only.by {
		return nil // a call of another session, which has ended, may go on in the server
	}
	return only
}

// reportedLocked returns the call whose progress has this token.
func (f *inFlight) reportedLocked(token jsonrpc.ID) *pending {
	if p := f.callLocked(token); p != nil && p.token == p.id {
		return p
	}
	for _, p := range f.by {
		if !p.token.IsZero() && (p.token == token || p.token == token.Twin()) {
			return p
		}
	}
	return nil
}

// callLocked returns the call with this id: servers that take an id for a
// string return a number as one, and the other way round.
func (f *inFlight) callLocked(id jsonrpc.ID) *pending {
	if p := f.by[id]; p != nil {
		return p
	}
	return f.by[id.Twin()]
}

// suspectsLocked returns the calls in flight that may be meant by an answer that
// does not say which one it is about: all. Where they are of several sessions
// that share the process, one session could end the calls of the others so. Then
// it is the last one, if the server says that it could not read a request, which
// it does when it reads it; and none, if the answer cannot be read.
func (f *inFlight) suspectsLocked(unread bool) []*pending {
	all := slices.Collect(maps.Values(f.by))
	if f.shared.Load() == nil {
		return all
	}
	if slices.ContainsFunc(all, func(p *pending) bool { return !p.quiet }) {
		all = slices.DeleteFunc(all, func(p *pending) bool { return p.quiet })
	}
	switch {
	case !slices.ContainsFunc(all, func(p *pending) bool { return p.by != all[0].by }):
		return all
	case unread:
		return []*pending{slices.MaxFunc(all, func(a, b *pending) int { return cmp.Compare(a.nth, b.nth) })}
	}
	return nil
}

// fail ends the call, once the messages that came before are delivered.
func (p *pending) fail(err error) {
	select {
	case p.failed <- err:
	default:
	}
}

// deliver hands m to the call. It reports false where the call has returned.
func (p *pending) deliver(m *jsonrpc.Message, route func(*jsonrpc.Message, func(*jsonrpc.Message))) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.gone {
		route(m, p.on)
	}
	return !p.gone
}
