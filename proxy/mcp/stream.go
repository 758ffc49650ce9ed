package mcp

import (
	"crypto/rand"
	"strconv"
	"sync"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/memory"
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

// stream carries messages to the client over one HTTP answer at a time: that
// of a POST or of a GET, and where it can be resumed, those of later GETs.
// Writers never block on it: they queue, and the goroutine of the request, the
// reader, writes. A reader too slow for its queue is ended.
//
// A message belongs to the stream from when it is taken for writing: it gets
// its event id then, and is kept to be written again. What the stream of a
// call still holds when its reader goes is kept too; what the stream of a GET
// holds then may travel on another one.
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
	// replay keeps its events; nil: the stream cannot be resumed.
	replay *replay
	// primes: the client knows events that have an id and no data (MCP
	// 2025-11-25), and resumes a stream that is ended without an answer.
	primes bool
	// standing: of a GET, which gets no answer.
	standing bool
	// subscribed: of subscriptions/listen, which lasts for as long as the client
	// wants it to.
	subscribed bool

	mu     sync.Mutex
	queue  [][]byte
	queued int
	// lease charges what is queued, the answer, and what is being written, as
	// long as there is a reader.
	lease   memory.Lease
	writing int
	answer  []byte // the last message, of a POST
	status  int    // of an answer that comes first
	ended   bool
	track   *track // once events are written
	// shown: the client has an event id, with which it may come back.
	shown bool
	// again is what a new reader has to catch up with.
	again      []kept
	againBytes int // of it, as they are charged
	// due: it is an event stream even if nothing comes before the answer.
	due bool

	ready chan struct{} // 1: there is something to write
	stop  chan struct{} // closed when the reader is to end; each has its own
}

// outlet is where the messages and the answer of a call go that shares what
// they are written to with others.
type outlet interface {
	// send takes a message, and reports whether it did.
	send(msg []byte) bool
	// finish takes the answer, whether or not there is memory for it.
	finish(status int, answer []byte)
	// offer does what finish does, but for an answer for which there is no memory:
	// then it reports false, and finish is to be given a short one.
	offer(status int, answer []byte) bool
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
	took, _ := st.put(msg, losable)
	return took
}

// put does what send does, also for an answer among other messages. Where that is
// not taken for want of memory, short says so.
func (st *stream) put(msg []byte, as weight) (took, short bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.answer != nil || st.ended && !st.awaitedLocked() {
		return false, false
	}
	cost := len(msg) + messageCost
	if !st.ended && st.queued+cost > st.bytes && len(st.queue) > 0 {
		st.endLocked()
	}
	if !st.ended && !as.holds(&st.lease, cost) {
		// A reader with a queue is too slow for what memory there is; another one
		// need not be ended for what others take.
		if as == replaceable || len(st.queue) == 0 {
			return false, true
		}
		st.endLocked()
	}
	if st.ended && !st.awaitedLocked() {
		return false, false
	}
	st.queue = append(st.queue, msg)
	st.queued += cost
	st.wakeLocked()
	return true, false
}

// finish queues the answer, after which the stream ends. The first one counts.
// status is the HTTP status if nothing was written before.
func (st *stream) finish(status int, answer []byte) {
	if st.via != nil {
		st.via.finish(status, answer)
	} else {
		st.close(status, answer, owing)
	}
}

// offer is finish for an answer that may be too long for what memory there is.
func (st *stream) offer(status int, answer []byte) bool {
	if st.via != nil {
		return st.via.offer(status, answer)
	}
	return st.close(status, answer, replaceable)
}

func (st *stream) close(status int, answer []byte, as weight) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.answer != nil || st.ended && !st.awaitedLocked() {
		return true
	}
	if !st.ended && !as.holds(&st.lease, len(answer)) {
		return false
	}
	st.answer, st.status = answer, status
	st.wakeLocked()
	return true
}

// begin makes an event stream of the answer, if the client can resume it.
func (st *stream) begin() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.primes && !st.ended {
		st.due = true
		st.wakeLocked()
	}
}

// awaitedLocked reports whether a client whose connection is gone may come
// back for the rest of its call.
func (st *stream) awaitedLocked() bool { return st.shown && !st.standing }

// wakeLocked makes the reader write what is queued. While there is none, what
// a client may come back for is kept instead.
func (st *stream) wakeLocked() {
	if !st.ended {
		select {
		case st.ready <- struct{}{}:
		default:
		}
		return
	}
	for _, msg := range st.queue {
		st.replay.add(st.track, msg, false)
	}
	st.queue, st.queued = nil, 0
	if st.answer != nil {
		st.replay.add(st.track, st.answer, true)
		st.replay.rest(st.track)
	}
}

// end ends the reader after the event that is being written.
func (st *stream) end() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.endLocked()
}

func (st *stream) endLocked() {
	if st.ended {
		return
	}
	st.ended = true
	close(st.stop)
	switch {
	case st.track == nil:
	case !st.shown:
		st.replay.drop(st.track)
	case st.track.final, st.standing:
		st.replay.rest(st.track)
	default:
		st.wakeLocked()
	}
	st.writing, st.again, st.againBytes = 0, nil, 0
	st.lease.Release()
}

// leave ends the reader whose stop it is, unless another one has come.
func (st *stream) leave(stop chan struct{}) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.stop == stop {
		st.endLocked()
	}
}

// mine reports whether the reader whose stop it is was the last one.
func (st *stream) mine(stop chan struct{}) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.stop == stop
}

// reader returns what wakes and what ends the present reader.
func (st *stream) reader() (ready, stop chan struct{}) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.ready, st.stop
}

// resume gives the stream a new reader, which begins after the position pos.
// One that is still there is ended: its connection broke, and the kernel has not noticed
// but the client.
func (st *stream) resume(pos int) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	again, bytes, err := st.replay.after(st.track, pos)
	if err != nil {
		return err
	}
	// They may be given up while the reader is slow to take them.
	if more := bytes - st.againBytes; more <= 0 {
		st.lease.Shrink(-more)
	} else if err := st.lease.Grow(more); err != nil {
		return err
	}
	st.replay.read(st.track)
	if !st.ended {
		close(st.stop)
	}
	st.ended, st.again, st.againBytes = false, again, bytes
	st.ready, st.stop = make(chan struct{}, 1), make(chan struct{})
	st.wakeLocked()
	return nil
}

// prime returns the id with which a reader begins, if it begins with one.
func (st *stream) prime() string {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.replay == nil {
		return ""
	}
	pos := 0
	switch {
	case st.track == nil:
		st.beginLocked()
	case len(st.again) > 0 || st.track.final:
		return "" // the events that follow have lower ids
	case st.primes:
		pos = st.replay.skip(st.track)
	}
	if !st.primes {
		return ""
	}
	st.shown = true
	return eventID(st.track.id, pos)
}

func (st *stream) beginLocked() {
	// 130 random bits, as those of the session: no client can guess the id of a
	// stream, and a session looks for it among its own streams only.
	st.track = st.replay.open(rand.Text(), st)
}

// eventID is an event's id: the stream, and the position in it.
func eventID(stream string, pos int) string {
	return stream + "-" + strconv.Itoa(pos)
}

// writtenLocked gives back what was taken before: the reader has come for more.
func (st *stream) writtenLocked() {
	st.lease.Shrink(st.writing)
	st.writing = 0
}

// take takes all that is queued, for a reader that writes no event ids.
func (st *stream) take() (queue [][]byte, status int, answer []byte) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.writtenLocked()
	queue = st.queue
	st.writing = st.queued
	st.queue, st.queued = nil, 0
	return queue, st.status, st.answer
}

// reopen makes the stream of a call without session fit for another HTTP
// answer. What was not written is lost.
func (st *stream) reopen() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.lease.Release()
	st.writing = 0
	st.queue, st.queued, st.answer, st.status, st.ended = nil, 0, nil, 0, false
	st.ready, st.stop = make(chan struct{}, 1), make(chan struct{})
}
