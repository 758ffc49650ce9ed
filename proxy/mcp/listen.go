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

// listen adds the stream of a GET. It reports false when there are too many.
func (s *session) listen(st *stream, limit int) bool {
	s.mu.Lock()
	if s.ended || len(s.streams) >= limit {
		s.mu.Unlock()
		return false
	}
	s.streams = append(s.streams, st)
	close(s.heard)
	s.heard = make(chan struct{})
	if len(s.due) > 0 {
		s.settleLocked()
	}
	s.mu.Unlock()
	for _, p := range s.allPeers() {
		if l := p.live(); l != nil {
			l.up.StartListening()
			p.release(l)
		}
	}
	return true
}

// unlisten removes it. What it was given and did not write goes elsewhere:
// the client that lost one stream opens another.
func (s *session) unlisten(st *stream) {
	s.mu.Lock()
	s.streams = slices.DeleteFunc(s.streams, func(other *stream) bool { return other == st })
	s.mu.Unlock()
	st.end()
	queue, _, _ := st.take()
	for _, msg := range queue {
		s.deliver(msg, nil)
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
	streams := slices.Clone(s.streams)
	s.mu.Unlock()
	for _, st := range slices.Backward(streams) {
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
	due := s.due
	s.due = nil
	for _, method := range due {
		msg := jsonrpc.NewNotification(method, nil)
		for _, st := range slices.Backward(s.streams) {
			if st.send(msg) {
				break
			}
		}
	}
}
