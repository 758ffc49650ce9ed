package mcp

import (
	"slices"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// settle is how long the list_changed notifications of a federation wait for
// others of their kind: a server that registers ten tools sends ten of them.
const settle = 100 * time.Millisecond

// notice is a message for a client that has no stream for it now.
type notice struct {
	// list is the method of a notification of a changed list, "" of others.
	list string
	// msg is nil where the gateway is to say it.
	msg []byte
}

// changed tells the client, soon, that lists are not what they were. Without
// a stream it is told when it opens one.
func (o *outlets) changed(methods ...string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, method := range methods {
		if o.wants(method) && !o.closed {
			o.dueLocked(notice{list: method})
		}
	}
	o.armLocked()
}

// wants reports whether the client is told of changes of a list.
func (o *outlets) wants(method string) bool {
	sub := o.subscription.Load()
	return !o.deaf && (sub == nil || sub.lists[method])
}

// merge tells the client of a changed list once others of its kind may have
// come, or before the next thing that a server says.
func (o *outlets) merge(n notice) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	o.dueLocked(n)
	o.armLocked()
}

// pass tells the client of a changed list at once, in the order of all that a
// server says.
func (o *outlets) pass(n notice, call eventstream.Outlet) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return
	}
	o.flushLocked()
	if call != nil && call.Send(o.message(n)) {
		return
	}
	o.tellLocked(n)
}

// dueLocked notes a changed list that the client is to be told of. The last of
// several tells the same as all of them.
func (o *outlets) dueLocked(n notice) {
	o.due = slices.DeleteFunc(o.due, func(other notice) bool { return other.list == n.list })
	o.due = append(o.due, n)
	o.overdue.Store(true)
}

// message is what a notice stands for.
func (o *outlets) message(n notice) []byte {
	if n.msg != nil {
		return n.msg
	}
	if sub := o.subscription.Load(); sub != nil {
		return sub.changed(n.list)
	}
	return jsonrpc.NewNotification(n.list, []byte("{}")) // handlers in Go see nil where there are no params
}

// armLocked sets the timer that tells what is due, if there is a stream for it.
func (o *outlets) armLocked() {
	if !o.pending && !o.closed && len(o.streams) > 0 && len(o.due) > 0 {
		o.pending = true
		o.timer = time.AfterFunc(settle, o.settled)
	}
}

func (o *outlets) settled() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pending = false
	if !o.closed && len(o.streams) > 0 {
		o.flushLocked()
	}
}

// flush tells the client of the lists that have changed before something else
// that a server said after that.
func (o *outlets) flush() {
	if !o.overdue.Load() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.flushLocked()
	}
}

func (o *outlets) flushLocked() {
	due := o.due
	o.due = nil
	o.overdue.Store(false)
	for _, n := range due {
		o.tellLocked(n)
	}
}

// tellLocked delivers the notice of a changed list, or keeps it.
func (o *outlets) tellLocked(n notice) {
	msg := o.message(n)
	switch {
	case o.deliverLocked(msg):
	case o.mayMissLocked():
		o.missLocked(notice{list: n.list, msg: msg})
	default:
		o.dueLocked(n)
	}
}
