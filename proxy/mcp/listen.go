package mcp

import (
	"slices"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// settle is how long list_changed notifications wait for others of their
// kind: a server that registers ten tools sends ten of them.
const settle = 100 * time.Millisecond

// listChanges are all notifications of changed lists.
var listChanges = []string{
	"notifications/tools/list_changed",
	"notifications/prompts/list_changed",
	"notifications/resources/list_changed",
}

// listen adds the stream of a GET, in which nothing is kept yet. It reports
// false when there are too many.
func (s *session) listen(st *stream, limit int) bool {
	s.mu.Lock()
	if s.ended || len(s.streams) >= limit {
		s.mu.Unlock()
		return false
	}
	s.listenLocked(st)
	s.mu.Unlock()
	s.hear()
	return true
}

func (s *session) listenLocked(st *stream) {
	s.streams = append(s.streams, st)
	close(s.heard)
	s.heard = make(chan struct{})
	s.listened = true
	for _, msg := range s.missed {
		st.send(msg)
	}
	s.missed, s.missedBytes = nil, 0
	if len(s.due) > 0 {
		s.settleLocked()
	}
}

// hear makes the servers send what belongs to no call.
func (s *session) hear() {
	for _, p := range s.allPeers() {
		if l := p.live(); l != nil {
			l.up.StartListening()
			p.release(l)
		}
	}
}

// unlisten removes it after its reader, whose stop it is, unless there is a new
// one.
func (s *session) unlisten(st *stream, stop chan struct{}) {
	s.mu.Lock()
	if st.mine(stop) {
		s.streams = slices.DeleteFunc(s.streams, func(other *stream) bool { return other == st })
	}
	s.mu.Unlock()
	s.rescue(st, stop)
}

// rescue ends a reader. What its stream was given, and neither wrote nor
// keeps, goes elsewhere.
func (s *session) rescue(st *stream, stop chan struct{}) {
	st.leave(stop)
	for _, msg := range st.rest(stop) {
		s.tell(msg, nil)
	}
}

// missedBytes bounds what is kept for a client between two of its streams.
const missedBytes = 64 << 10

// tell delivers a message, or keeps it for the next stream of a client that
// has had one: it is about to open another. The oldest are given up first.
func (s *session) tell(msg []byte, c *call) {
	if c != nil && c.stream.send(msg) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deliverLocked(msg) != nil || !s.listened || s.ended {
		return
	}
	s.missed = append(s.missed, msg)
	s.missedBytes += len(msg) + messageCost
	for s.missedBytes > missedBytes {
		s.missedBytes -= len(s.missed[0]) + messageCost
		s.missed = s.missed[1:]
	}
}

// deliver puts a message on exactly one stream: the call's, if there is one
// and the client takes streams, else the newest GET's. It returns the stream
// that took it, or nil.
func (s *session) deliver(msg []byte, c *call) *stream {
	if c != nil && c.stream.send(msg) {
		return c.stream
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deliverLocked(msg)
}

func (s *session) deliverLocked(msg []byte) *stream {
	for _, st := range slices.Backward(s.streams) {
		if st.send(msg) {
			return st
		}
	}
	return nil
}

// changed tells the client, soon, that lists are not what they were. Without
// a stream it is told when it opens one.
func (s *session) changed(methods ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.sessionless {
		return
	}
	for _, method := range methods {
		if s.subscription != nil && !s.subscription.lists[method] {
			continue
		}
		if !slices.Contains(s.due, method) {
			s.due = append(s.due, method)
		}
	}
	s.settleLocked()
}

func (s *session) settleLocked() {
	if !s.settling && len(s.streams) > 0 {
		s.settling = true
		s.timer = time.AfterFunc(settle, s.settled)
	}
}

func (s *session) settled() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settling = false
	if s.ended || len(s.streams) == 0 {
		return
	}
	s.due = slices.DeleteFunc(s.due, func(method string) bool {
		msg := jsonrpc.NewNotification(method, nil)
		if s.subscription != nil {
			msg = s.subscription.changed(method)
		}
		return s.deliverLocked(msg) != nil
	})
}
