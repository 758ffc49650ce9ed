package mcp

// piece is what a reader writes next.
type piece struct {
	id     string // of the event; "": it has none
	msg    []byte
	status int  // of the HTTP answer that msg alone makes
	begin  bool // the answer must be an event stream first
	last   bool // nothing follows; msg may be nil
}

// next takes what the reader whose stop it is writes next; begun tells that it
// writes events. It reports false when there is nothing now.
func (st *stream) next(stop chan struct{}, begun bool) (piece, bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.stop == stop && !st.ended {
		st.writtenLocked()
	}
	switch {
	case st.stop != stop || st.ended:
		return piece{}, false
	case !begun && (st.due || len(st.queue) > 0):
		return piece{begin: true}, true
	case len(st.again) > 0:
		e := st.again[0]
		st.again = st.again[1:]
		st.writing = e.cost()
		st.againBytes -= st.writing
		return piece{
			id:   eventID(st.track.id, e.pos),
			msg:  e.msg,
			last: st.track.final && e.pos == st.track.last,
		}, true
	case st.track != nil && st.track.final:
		return piece{last: true}, true
	case len(st.queue) > 0:
		msg := st.queue[0]
		st.queue[0], st.queue = nil, st.queue[1:]
		st.writing = len(msg) + messageCost
		st.queued -= st.writing
		return piece{id: st.keepLocked(msg, false), msg: msg}, true
	case st.answer == nil:
		return piece{}, false
	case begun:
		return piece{id: st.keepLocked(st.answer, true), msg: st.answer, last: true}, true
	}
	return piece{msg: st.answer, status: st.status, last: true}, true
}

// keepLocked keeps an event that is about to be written, and returns its id.
func (st *stream) keepLocked(msg []byte, final bool) string {
	if st.track == nil {
		return ""
	}
	st.shown = true
	return eventID(st.track.id, st.replay.add(st.track, msg, final))
}

// unread puts back what was taken and could not be written, unless it is kept.
func (st *stream) unread(msg []byte) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.track == nil {
		st.queue = append([][]byte{msg}, st.queue...)
	}
}

// rest takes what no reader has read, unless a reader has come after the one
// whose stop it is.
func (st *stream) rest(stop chan struct{}) [][]byte {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.stop != stop {
		return nil
	}
	queue := st.queue
	st.queue, st.queued = nil, 0
	return queue
}
