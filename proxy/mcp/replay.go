package mcp

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/memory"
)

var (
	// errUnknownEvent: the stream is another session's, was made up, or is
	// forgotten.
	errUnknownEvent = errors.New("Last-Event-ID names no event of this session that could be resumed from; what followed it is lost")
	// errEvicted: there is nothing between the event and the oldest that is
	// kept.
	errEvicted = errors.New("what followed Last-Event-ID is not kept any more (mcp.resume bounds how much, and how long)")
)

// oldStreams bounds the streams of GETs that are remembered, so that they can
// be resumed, when no client reads them and nothing of them is kept.
const oldStreams = 16

// replay keeps the events of a session's streams, so that a client whose
// connection broke can fetch what it has not seen (MCP 2025-11-25,
// Resumability and Redelivery). Its lock is taken last.
type replay struct {
	mu     sync.Mutex
	limits Resume
	memory *memory.Budget
	tracks map[string]*track
	events []kept // the oldest first
	bytes  int
	closed bool
}

// track is one stream in the store.
type track struct {
	id     string
	stream *stream
	count  int  // of its events that are kept
	last   int  // the position of its last event
	lost   int  // the position of the last event that is not kept, or -1
	final  bool // nothing comes after the last event
	busy   bool // it has a reader, or waits for its answer
	begun  time.Time
}

// kept is one event.
type kept struct {
	track *track
	pos   int
	msg   []byte
	at    time.Time
}

func (e kept) cost() int { return len(e.msg) + messageCost }

func newReplay(limits Resume, budget *memory.Budget) *replay {
	return &replay{limits: limits, memory: budget, tracks: map[string]*track{}}
}

// follow puts other limits in force.
func (r *replay) follow(limits Resume) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.limits = limits
	r.trimLocked(time.Now())
}

// on reports whether streams are to be resumable.
func (r *replay) on() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.limits.Events > 0 && !r.closed
}

// open begins a stream, at position 0.
func (r *replay) open(id string, st *stream) *track {
	t := &track{id: id, stream: st, lost: -1, busy: true, begun: time.Now()}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.tracks[id] = t
	}
	return t
}

// add keeps the next event of a stream, and returns its position.
func (r *replay) add(t *track, msg []byte, final bool) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	t.last++
	t.final = final
	if r.closed {
		return t.last
	}
	now := time.Now()
	for r.memory.Charge(memory.Event, int64(len(msg)+messageCost)) != nil {
		if len(r.events) == 0 {
			t.lost = t.last
			return t.last
		}
		r.dropLocked(1)
	}
	r.events = append(r.events, kept{t, t.last, msg, now})
	r.bytes += len(msg) + messageCost
	t.count++
	r.trimLocked(now)
	return t.last
}

// skip leaves a position out, and returns it.
func (r *replay) skip(t *track) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	t.last++
	return t.last
}

// rest marks a stream that has no reader any more, and awaits no answer.
func (r *replay) rest(t *track) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t.busy = false
	r.forgetLocked(t)
}

// drop forgets a stream of which the client has seen no event.
func (r *replay) drop(t *track) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.tracks, t.id)
}

// find returns a stream.
func (r *replay) find(id string) *stream {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.tracks[id]; t != nil {
		return t.stream
	}
	return nil
}

// after returns the events of a stream that follow pos, for a new reader, and
// what they cost.
func (r *replay) after(t *track, pos int) (events []kept, bytes int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trimLocked(time.Now())
	switch {
	case r.closed, pos > t.last:
		return nil, 0, errUnknownEvent
	case pos < t.lost:
		return nil, 0, errEvicted
	}
	for _, e := range r.events {
		if e.track == t && e.pos > pos {
			events = append(events, e)
			bytes += e.cost()
		}
	}
	return events, bytes, nil
}

// read marks a stream that has a reader, also if it was forgotten just now.
func (r *replay) read(t *track) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t.busy = true
	if !r.closed {
		r.tracks[t.id] = t
	}
}

// expire gives up what is too old.
func (r *replay) expire(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trimLocked(now)
}

// close gives everything back.
func (r *replay) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	r.memory.Return(memory.Event, int64(r.bytes))
	r.tracks, r.events, r.bytes = nil, nil, 0
}

// trimLocked gives up the oldest events as the limits demand.
func (r *replay) trimLocked(now time.Time) {
	n, bytes := 0, r.bytes
	for ; n < len(r.events); n++ {
		e := r.events[n]
		if len(r.events)-n <= r.limits.Events && bytes <= int(r.limits.Bytes) && now.Sub(e.at) < r.limits.Age {
			break
		}
		bytes -= e.cost()
	}
	r.dropLocked(n)
}

// dropLocked gives up the oldest n events.
func (r *replay) dropLocked(n int) {
	before := r.bytes
	for i, e := range r.events[:n] {
		r.bytes -= e.cost()
		e.track.lost = e.pos
		e.track.count--
		r.forgetLocked(e.track)
		r.events[i] = kept{}
	}
	if r.events = r.events[n:]; len(r.events) == 0 {
		r.events = nil
	}
	r.memory.Return(memory.Event, int64(before-r.bytes))
}

// giveUp gives up all events, and returns how many bytes they were.
func (r *replay) giveUp() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.bytes
	r.dropLocked(len(r.events))
	return int64(before)
}

// forgetLocked forgets the stream if it cannot be resumed any more. Of those
// that could, but of which nothing is kept, the oldest go beyond a number.
func (r *replay) forgetLocked(t *track) {
	switch {
	case t.busy || t.count > 0:
		return
	case t.final:
		delete(r.tracks, t.id)
		return
	}
	var old []*track
	for _, t := range r.tracks {
		if !t.busy && t.count == 0 {
			old = append(old, t)
		}
	}
	if len(old) <= oldStreams {
		return
	}
	slices.SortFunc(old, func(a, b *track) int { return a.begun.Compare(b.begun) })
	for _, t := range old[:len(old)-oldStreams] {
		delete(r.tracks, t.id)
	}
}
