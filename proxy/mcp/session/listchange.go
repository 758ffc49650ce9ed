package session

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
)

// mergeTime is how long the list_changed notifications of a federation wait for
// others of their kind: a server that registers ten tools sends ten of them.
const mergeTime = 100 * time.Millisecond

// notice is a message for a client that has no stream for it now.
type notice struct {
	// list is the method of a notification of a changed list, "" of others.
	list string
	// msg is nil where the gateway is to say it.
	msg []byte
}

// missedBytes bounds a backlog.
const missedBytes = 64 << 10

// backlog is what is kept for a client between two of its streams.
type backlog struct {
	notices []notice
	bytes   int
}

// add adds a notice, and returns the oldest ones, which had to be given up for it.
func (b *backlog) add(n notice) (given []notice) {
	b.notices = append(b.notices, n)
	b.bytes += len(n.msg) + eventstream.MessageCost
	up := 0
	for ; b.bytes > missedBytes; up++ {
		b.bytes -= len(b.notices[up].msg) + eventstream.MessageCost
	}
	given, b.notices = b.notices[:up:up], b.notices[up:]
	return given
}

// take returns all of it, which is no longer kept.
func (b *backlog) take() []notice {
	notices := b.notices
	*b = backlog{}
	return notices
}

// changes are the changed lists that a client has not been told of.
type changes struct {
	notices []notice
	some    atomic.Bool // there are; read without the lock
}

// add notes a changed list. The last notice of several tells the same as all of them.
func (c *changes) add(n notice) {
	c.notices = append(slices.DeleteFunc(c.notices, func(other notice) bool { return other.list == n.list }), n)
	c.some.Store(true)
}

// take returns all of them, which are no longer due.
func (c *changes) take() []notice {
	notices := c.notices
	c.notices = nil
	c.some.Store(false)
	return notices
}

// changed tells the client, soon, that lists are not what they were. Without
// a stream it is told when it opens one.
func (o *outlets) changed(methods ...string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, method := range methods {
		if o.wants(method) && !o.closed {
			o.due.add(notice{list: method})
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
	o.due.add(n)
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
	if call != nil && call.Send(o.subscription.Load().message(n)) {
		return
	}
	o.tellLocked(n)
}

// armLocked sets the timer that tells what is due, if there is a stream for it.
func (o *outlets) armLocked() {
	if !o.pending && !o.closed && len(o.streams) > 0 && o.due.some.Load() {
		o.pending = true
		o.timer = time.AfterFunc(mergeTime, func() {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.pending = false
			if !o.closed && len(o.streams) > 0 {
				o.flushLocked()
			}
		})
	}
}

// flush tells the client of the lists that have changed before something else
// that a server said after that.
func (o *outlets) flush() {
	if !o.due.some.Load() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.flushLocked()
	}
}

func (o *outlets) flushLocked() {
	for _, n := range o.due.take() {
		o.tellLocked(n)
	}
}

// tellLocked delivers the notice of a changed list, or keeps it.
func (o *outlets) tellLocked(n notice) {
	msg := o.subscription.Load().message(n)
	switch {
	case o.deliverLocked(msg):
	case o.listened && !o.closed:
		o.missLocked(notice{list: n.list, msg: msg})
	default:
		o.due.add(n)
	}
}
