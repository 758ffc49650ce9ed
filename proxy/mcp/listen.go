package mcp

import (
	"slices"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
)

// listen adds the stream of a GET, in which nothing is kept yet. It reports
// false when there are too many.
func (s *session) listen(st *eventstream.Stream, limit int) bool {
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

func (s *session) listenLocked(st *eventstream.Stream) {
	s.streams = append(s.streams, st)
	close(s.heard)
	s.heard = make(chan struct{})
	s.listened = true
	for _, n := range s.missed {
		st.Send(n.msg)
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

// unlisten removes it after its reader, unless there is a new one.
func (s *session) unlisten(r eventstream.Reader) {
	s.mu.Lock()
	if r.Last() {
		s.streams = slices.DeleteFunc(s.streams, func(other *eventstream.Stream) bool { return other == r.Stream() })
	}
	s.mu.Unlock()
	s.rescue(r)
}

// rescue ends a reader. What its stream was given, and neither wrote nor
// keeps, goes elsewhere.
func (s *session) rescue(r eventstream.Reader) {
	r.Leave()
	for _, msg := range r.Unread() {
		s.tell(msg, nil)
	}
}

// missedBytes bounds what is kept for a client between two of its streams.
const missedBytes = 64 << 10

// tell delivers a message, or keeps it for the next stream of a client that
// has had one: it is about to open another. The oldest are given up first.
func (s *session) tell(msg []byte, c *call) {
	if c != nil && c.out.Send(msg) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.deliverLocked(msg) && s.mayMissLocked() {
		s.missLocked(notice{msg: msg})
	}
}

// mayMissLocked reports whether the client has had a stream, and so is about to
// open another.
func (s *session) mayMissLocked() bool { return s.listened && !s.ended }

// missLocked keeps a message for the client's next stream. Of those that are
// given up for it, a changed list is told all the same, though later.
func (s *session) missLocked(n notice) {
	s.missed = append(s.missed, n)
	s.missedBytes += len(n.msg) + eventstream.MessageCost
	for s.missedBytes > missedBytes {
		oldest := s.missed[0]
		s.missedBytes -= len(oldest.msg) + eventstream.MessageCost
		s.missed = s.missed[1:]
		if oldest.list != "" {
			s.dueLocked(notice{list: oldest.list})
		}
	}
}

// deliver puts a message on exactly one stream: the call's, if there is one
// and the client takes streams, else the newest GET's. It reports whether one
// took it.
func (s *session) deliver(msg []byte, c *call) bool {
	if c != nil && c.out.Send(msg) {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deliverLocked(msg)
}

func (s *session) deliverLocked(msg []byte) bool {
	for _, st := range slices.Backward(s.streams) {
		if st.Send(msg) {
			return true
		}
	}
	return false
}
