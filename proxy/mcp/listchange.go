package mcp

import (
	"slices"
	"time"

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
func (s *session) changed(methods ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, method := range methods {
		if s.hearsLocked(method) {
			s.dueLocked(notice{list: method})
		}
	}
	s.settleLocked()
}

// hearsLocked reports whether the client is told of changes of a list.
func (s *session) hearsLocked(method string) bool {
	return !s.ended && !s.sessionless && (s.subscription == nil || s.subscription.lists[method])
}

// listChanged passes on what a server says of its lists: byte for byte, and in
// the order of all that it says. In a federation it waits for others of its
// kind, unless the server goes on to say something else.
func (s *session) listChanged(p *peer, m *jsonrpc.Message, c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.hearsLocked(m.Method()) {
		return
	}
	n := notice{list: m.Method(), msg: s.notificationLocked(p, m)}
	if len(n.msg) > missedBytes {
		n.msg = nil // it says no more than that there is a change
	}
	if !s.naming.Transparent(s.current.Members) {
		s.dueLocked(n)
		s.settleLocked()
		return
	}
	s.flushLocked()
	if c != nil && c.out.Send(s.noticeLocked(n)) {
		return
	}
	s.tellLocked(n)
}

// dueLocked notes a changed list that the client is to be told of. The last of
// several tells the same as all of them.
func (s *session) dueLocked(n notice) {
	s.due = slices.DeleteFunc(s.due, func(other notice) bool { return other.list == n.list })
	s.due = append(s.due, n)
	s.overdue.Store(true)
}

// noticeLocked is the message that a notice stands for.
func (s *session) noticeLocked(n notice) []byte {
	switch {
	case n.msg != nil:
		return n.msg
	case s.subscription != nil:
		return s.subscription.changed(n.list)
	}
	return jsonrpc.NewNotification(n.list, []byte("{}")) // handlers in Go see nil where there are no params
}

func (s *session) settleLocked() {
	if !s.settling && len(s.streams) > 0 && len(s.due) > 0 {
		s.settling = true
		s.timer = time.AfterFunc(settle, s.settled)
	}
}

func (s *session) settled() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settling = false
	if !s.ended && len(s.streams) > 0 {
		s.flushLocked()
	}
}

// flush tells the client of the lists that have changed before something else
// that a server said after that.
func (s *session) flush() {
	if !s.overdue.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.flushLocked()
	}
}

func (s *session) flushLocked() {
	due := s.due
	s.due = nil
	s.overdue.Store(false)
	for _, n := range due {
		s.tellLocked(n)
	}
}

// tellLocked delivers the notice of a changed list, or keeps it.
func (s *session) tellLocked(n notice) {
	msg := s.noticeLocked(n)
	switch {
	case s.deliverLocked(msg):
	case s.mayMissLocked():
		s.missLocked(notice{list: n.list, msg: msg})
	default:
		s.dueLocked(n)
	}
}
