package eventstream

import (
	"crypto/rand"
	"sync"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/memory"
)

const (
	// Keepalive is how often a comment is sent on an idle stream, so that no
	// middlebox closes it. Events with a name would break clients.
	Keepalive = 15 * time.Second
	// WriteTimeout bounds each write: a client that takes nothing for this long is
	// treated as gone. There is no bound on a stream as a whole.
	WriteTimeout = 30 * time.Second
	// MessageCost is what a queued message takes besides its bytes. There is no
	// bound on their number: a server that reports each of some thousand steps
	// sends them faster than they can be written one by one.
	MessageCost = 64
	// primeAfter is how long a call may take before its answer becomes a
	// stream, where the client can resume it: a call that takes longer than
	// most should survive its connection.
	primeAfter = 100 * time.Millisecond
)

// Kind says what a stream is for.
type Kind int

const (
	// Call: the stream carries the answer to a POST, and what belongs to it.
	Call Kind = iota
	// Standing: the stream is that of a GET, which gets no answer.
	Standing
	// Subscription: the stream is the answer to a POST that lasts for as long as
	// the client wants it to.
	Subscription
)

// Options are what a Stream is made of.
type Options struct {
	Kind Kind
	// Open: messages may be sent at all. Not so when the client of a POST
	// takes nothing but JSON: then there is room for the answer alone.
	Open bool
	// Eager: the client asks for streams by name, so that one may be begun only to
	// show that the server is still at work.
	Eager bool
	// Bytes bounds the queue.
	Bytes int
	// Lease charges what is queued, the answer, and what is being written, as
	// long as there is a reader. The zero Lease charges nothing.
	Lease memory.Lease
	// Store keeps its events; nil: the stream cannot be resumed.
	Store *Store
	// Primes: the client knows events that have an id and no data (MCP
	// 2025-11-25), and resumes a stream that is ended without an answer. It has no
	// effect on a stream that is not eager, or has no Store.
	Primes bool
}

// Stream carries messages to the client over one HTTP answer at a time: that
// of a POST or of a GET, and where it can be resumed, those of later GETs.
// Writers never block on it: they queue, and the goroutine of the request, the
// reader, writes. A reader too slow for its queue is ended.
//
// A message belongs to the stream from when it is taken for writing: it gets
// its event id then, and is kept to be written again. What the stream of a
// call still holds when its reader goes is kept too; what the stream of a GET
// holds then may travel on another one.
type Stream struct {
	// opts are those of New, and Primes only where it has an effect.
	opts Options

	mu      sync.Mutex
	queue   [][]byte
	queued  int // bytes of it, as they are charged
	lease   memory.Lease
	writing int
	answer  []byte // the last message, of a POST
	status  int    // of an answer that comes first
	ended   bool
	track   *track // once events are written
	// shown: the client has an event id, with which it may come back.
	shown bool
	// backlog is what a new reader has to catch up with.
	backlog      []event
	backlogBytes int // of it, as they are charged
	// due: it is an event stream even if nothing comes before the answer.
	due    bool
	reader Reader // the present one
}

// New returns a stream that waits for its first reader.
func New(o Options) *Stream {
	o.Primes = o.Primes && o.Eager && o.Store != nil
	st := &Stream{opts: o, lease: o.Lease}
	st.reader = newReader(st)
	return st
}

// Open implements [Outlet].
func (st *Stream) Open() bool { return st.opts.Open }

// Standing reports whether it is the stream of a GET.
func (st *Stream) Standing() bool { return st.opts.Kind == Standing }

// polled reports whether the stream of a call may end without its answer, since
// the client will come back for it (MCP 2025-11-25, Sending Messages to the
// Server). Clients of older revisions are promised that it does not.
func (st *Stream) polled() bool { return st.opts.Primes && !st.Standing() }

// Send implements [Outlet].
func (st *Stream) Send(msg []byte) bool {
	if !st.opts.Open {
		return false
	}
	took, _ := st.Enqueue(msg, Droppable)
	return took
}

// Enqueue does what Send does, also for an answer among other messages. Where
// that is not taken for want of memory, short says so.
func (st *Stream) Enqueue(msg []byte, as Importance) (took, short bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.answer != nil || st.ended && !st.awaitedLocked() {
		return false, false
	}
	cost := len(msg) + MessageCost
	if !st.ended && st.queued+cost > st.opts.Bytes && len(st.queue) > 0 {
		st.endLocked()
	}
	if !st.ended && !as.Charge(&st.lease, cost) {
		// A reader with a queue is too slow for what memory there is; another one
		// need not be ended for what others take.
		if as == Replaceable || len(st.queue) == 0 {
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

// Finish implements [Outlet]. The stream ends after the answer.
func (st *Stream) Finish(status int, answer []byte) { st.close(status, answer, Required) }

// Offer implements [Outlet].
func (st *Stream) Offer(status int, answer []byte) bool { return st.close(status, answer, Replaceable) }

func (st *Stream) close(status int, answer []byte, as Importance) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.answer != nil || st.ended && !st.awaitedLocked() {
		return true
	}
	if !st.ended && !as.Charge(&st.lease, len(answer)) {
		return false
	}
	st.answer, st.status = answer, status
	st.wakeLocked()
	return true
}

// BeginEvents makes an event stream of the answer, if the client can resume it.
func (st *Stream) BeginEvents() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.opts.Primes && !st.ended {
		st.due = true
		st.wakeLocked()
	}
}

// End ends the reader after the event that is being written.
func (st *Stream) End() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.endLocked()
}

// Reopen makes the stream of a call without session fit for another HTTP
// answer. What was not written is lost.
func (st *Stream) Reopen() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.lease.Release()
	st.writing = 0
	st.queue, st.queued, st.answer, st.status, st.ended = nil, 0, nil, 0, false
	st.reader = newReader(st)
}

// Reader returns the present reader.
func (st *Stream) Reader() Reader {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.reader
}

// Resume gives the stream a new reader, which begins after the position pos.
// One that is still there is ended: the client has noticed that its connection
// broke, and the kernel has not. The error is ErrUnknownEvent, ErrEvicted, or
// memory.ErrExhausted.
func (st *Stream) Resume(pos int) (Reader, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	backlog, bytes, err := st.opts.Store.after(st.track, pos)
	if err != nil {
		return Reader{}, err
	}
	// They may be given up while the reader is slow to take them.
	if more := bytes - st.backlogBytes; more <= 0 {
		st.lease.Shrink(-more)
	} else if err := st.lease.Grow(more); err != nil {
		return Reader{}, err
	}
	st.opts.Store.markBusy(st.track)
	if !st.ended {
		close(st.reader.stop)
	}
	st.ended, st.backlog, st.backlogBytes = false, backlog, bytes
	st.reader = newReader(st)
	st.wakeLocked()
	return st.reader, nil
}

// awaitedLocked reports whether a client whose connection is gone may come
// back for the rest of its call.
func (st *Stream) awaitedLocked() bool { return st.shown && !st.Standing() }

// wakeLocked makes the reader write what is queued. While there is none, what
// a client may come back for is kept instead.
func (st *Stream) wakeLocked() {
	if !st.ended {
		select {
		case st.reader.ready <- struct{}{}:
		default:
		}
		return
	}
	for _, msg := range st.queue {
		st.opts.Store.add(st.track, msg, false)
	}
	st.queue, st.queued = nil, 0
	if st.answer != nil {
		st.opts.Store.add(st.track, st.answer, true)
		st.opts.Store.markIdle(st.track)
	}
}

func (st *Stream) endLocked() {
	if st.ended {
		return
	}
	st.ended = true
	close(st.reader.stop)
	switch {
	case st.track == nil:
	case !st.shown:
		st.opts.Store.drop(st.track)
	case st.track.final, st.Standing():
		st.opts.Store.markIdle(st.track)
	default:
		st.wakeLocked()
	}
	st.writing, st.backlog, st.backlogBytes = 0, nil, 0
	st.lease.Release()
}

// prime returns the id with which a reader begins, if it begins with one.
func (st *Stream) prime() string {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.opts.Store == nil {
		return ""
	}
	pos := 0
	switch {
	case st.track == nil:
		// 130 random bits, as those of the session: no client can guess the id of a
		// stream, and a session looks for it among its own streams only.
		st.track = st.opts.Store.begin(rand.Text(), st)
	case len(st.backlog) > 0 || st.track.final:
		return "" // the events that follow have lower ids
	case st.opts.Primes:
		pos = st.opts.Store.skip(st.track)
	}
	if !st.opts.Primes {
		return ""
	}
	st.shown = true
	return eventID(st.track.id, pos)
}

// keepLocked keeps an event that is about to be written, and returns its id.
func (st *Stream) keepLocked(msg []byte, final bool) string {
	if st.track == nil {
		return ""
	}
	st.shown = true
	return eventID(st.track.id, st.opts.Store.add(st.track, msg, final))
}

// writtenLocked gives back the memory of what the reader took before. It has written
// that, since it asks for more.
func (st *Stream) writtenLocked() {
	st.lease.Shrink(st.writing)
	st.writing = 0
}
