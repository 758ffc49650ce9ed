package eventstream

// Reader is what takes the messages of a Stream to write them to a client. A
// Stream has one at a time: a new one ends that before. The zero value is of no
// use; [Stream.Reader] and [Stream.Resume] return one.
type Reader struct {
	stream *Stream
	ready  chan struct{} // 1: there is something to write
	stop   chan struct{} // closed when the reader is to end
}

// newReader returns a reader for which nothing is ready.
func newReader(st *Stream) Reader { return Reader{st, make(chan struct{}, 1), make(chan struct{})} }

// Stream returns the stream that is read.
func (r Reader) Stream() *Stream { return r.stream }

// Stopped returns what is closed when the reader is to end.
func (r Reader) Stopped() <-chan struct{} { return r.stop }

// Leave ends the reader, unless another one has come.
func (r Reader) Leave() {
	st := r.stream
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.reader == r {
		st.endLocked()
	}
}

// Last reports whether no other reader has come.
func (r Reader) Last() bool {
	st := r.stream
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.reader == r
}

// Unread takes what no reader has read, unless another one has come.
func (r Reader) Unread() [][]byte {
	st := r.stream
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.reader != r {
		return nil
	}
	queue := st.queue
	st.queue, st.queued = nil, 0
	return queue
}

// piece is what a reader writes next.
type piece struct {
	id     string // of the event; "": it has none
	msg    []byte
	status int  // of the HTTP answer that msg alone makes
	begin  bool // the answer must be an event stream first
	last   bool // nothing follows; msg may be nil
}

// next takes what the reader writes next; begun tells that it writes events. It
// reports false when there is nothing now.
func (r Reader) next(begun bool) (piece, bool) {
	st := r.stream
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.reader == r && !st.ended {
		st.writtenLocked()
	}
	switch {
	case st.reader != r || st.ended:
		return piece{}, false
	case !begun && (st.due || len(st.queue) > 0):
		return piece{begin: true}, true
	case len(st.backlog) > 0:
		e := st.backlog[0]
		st.backlog = st.backlog[1:]
		st.writing = e.cost()
		st.backlogBytes -= st.writing
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
		st.writing = len(msg) + MessageCost
		st.queued -= st.writing
		return piece{id: st.keepLocked(msg, false), msg: msg}, true
	case st.answer == nil:
		return piece{}, false
	case begun:
		return piece{id: st.keepLocked(st.answer, true), msg: st.answer, last: true}, true
	}
	return piece{msg: st.answer, status: st.status, last: true}, true
}

// putBack gives back what was taken and could not be written, unless it is
// kept.
func (r Reader) putBack(msg []byte) {
	st := r.stream
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.track == nil {
		st.queue = append([][]byte{msg}, st.queue...)
	}
}

// takeAll takes all that is queued, for a reader that writes no event ids.
func (r Reader) takeAll() (queue [][]byte, status int, answer []byte) {
	st := r.stream
	st.mu.Lock()
	defer st.mu.Unlock()
	st.writtenLocked()
	queue = st.queue
	st.writing = st.queued
	st.queue, st.queued = nil, 0
	return queue, st.status, st.answer
}
