package mcp

import (
	"sync"
	"time"
)

const (
	// keepalive is how often an idle stream gets a comment, so that no
	// middlebox takes it for dead. Named events would break clients.
	keepalive = 15 * time.Second
	// writeTimeout bounds each write: a client that takes nothing for this
	// long is gone. There is no bound on a stream as a whole.
	writeTimeout = 30 * time.Second
	// messageCost is what a queued message takes besides its bytes. There is no
	// bound on their number: a server that reports each of some thousand steps
	// sends them faster than they can be written one by one.
	messageCost = 64
)

// stream carries messages to the client over one HTTP answer, that of a POST
// or of a GET. Writers never block on it: they queue, and the goroutine of the
// request writes. A reader too slow for its queue is ended.
type stream struct {
	// open: messages may be sent at all. Not so when the client of a POST
	// takes nothing but JSON: then there is room for the answer alone.
	open bool
	// eager: the client asks for streams by name, so that one may be begun for
	// no better reason than to show that the server is still at work.
	eager bool
	// bytes bounds the queue.
	bytes int
	// via, if not nil, takes everything instead: the call has no HTTP answer of
	// its own.
	via outlet

	mu     sync.Mutex
	queue  [][]byte
	queued int
	answer []byte // the last message, of a POST
	status int    // of an answer that comes first
	ended  bool

	ready chan struct{} // 1: there is something to write
	stop  chan struct{} // closed when nothing may be queued any more
}

// outlet is where the messages and the answer of a call go that shares what
// they are written to with others.
type outlet interface {
	send(msg []byte) bool
	finish(status int, answer []byte)
}

func newStream(open, eager bool, bytes int) *stream {
	return &stream{
		open:  open,
		eager: eager,
		bytes: bytes,
		ready: make(chan struct{}, 1),
		stop:  make(chan struct{}),
	}
}

// send queues a message, which must not be changed afterwards. It reports
// whether the stream took it.
func (st *stream) send(msg []byte) bool {
	if !st.open {
		return false
	}
	if st.via != nil {
		return st.via.send(msg)
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.ended || st.answer != nil {
		return false
	}
	cost := len(msg) + messageCost
	if st.queued+cost > st.bytes && len(st.queue) > 0 {
		st.endLocked()
		return false
	}
	st.queue = append(st.queue, msg)
	st.queued += cost
	st.wake()
	return true
}

// finish queues the answer, after which the stream ends. The first one counts.
// status is the HTTP status if nothing was written before.
func (st *stream) finish(status int, answer []byte) {
	if st.via != nil {
		st.via.finish(status, answer)
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.ended || st.answer != nil {
		return
	}
	st.answer, st.status = answer, status
	st.wake()
}

// end ends the stream after the event that is being written.
func (st *stream) end() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.endLocked()
}

func (st *stream) endLocked() {
	if !st.ended {
		st.ended = true
		close(st.stop)
	}
}

func (st *stream) wake() {
	select {
	case st.ready <- struct{}{}:
	default:
	}
}

// reopen makes a stream that has ended fit for another HTTP answer. What was
// not written is lost.
func (st *stream) reopen() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.queue, st.queued, st.answer, st.status, st.ended = nil, 0, nil, 0, false
	st.ready, st.stop = make(chan struct{}, 1), make(chan struct{})
}

// unread puts back what was taken and could not be written.
func (st *stream) unread(queue [][]byte) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.queue = append(queue, st.queue...)
}

func (st *stream) take() (queue [][]byte, status int, answer []byte) {
	st.mu.Lock()
	defer st.mu.Unlock()
	queue = st.queue
	st.queue, st.queued = nil, 0
	return queue, st.status, st.answer
}
