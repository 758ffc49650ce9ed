package eventstream

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/memory"
)

var (
	// ErrUnknownEvent: the stream is another session's, was made up, or is
	// forgotten.
	ErrUnknownEvent = errors.New("Last-Event-ID names no event of this session that could be resumed from; what followed it is lost")
	// ErrEvicted: events that followed the one are kept no longer.
	ErrEvicted = errors.New("what followed Last-Event-ID is not kept any more (mcp.resume bounds how much, and how long)")
)

// oldStreams bounds the streams of GETs that are remembered, so that they can
// be resumed, when no client reads them and nothing of them is kept.
const oldStreams = 16

// Limits bound what a Store keeps. Beyond any of them the oldest events go
// first.
type Limits struct {
	// Events is their number; 0: streams cannot be resumed.
	Events int
	// Bytes is what they take in all.
	Bytes int64
	// Age is how long each is kept.
	Age time.Duration
}

// Store keeps the events of a session's streams, so that a client whose
// connection broke can fetch what it has not seen. Close releases it.
type Store struct {
	mu     sync.Mutex
	limits Limits
	memory *memory.Budget
	tracks map[string]*track
	events []event // the oldest first
	bytes  int
	closed bool
}

// track is one stream in the store.
type track struct {
	id     string
	stream *Stream
	count  int  // of its events that are kept
	last   int  // the position of its last event
	lost   int  // the position of the last event that is not kept, or -1
	final  bool // nothing comes after the last event
	busy   bool // it has a reader, or waits for its answer
	begun  time.Time
}

// event is one event.
type event struct {
	track *track
	pos   int
	msg   []byte
	at    time.Time
}

func (e event) cost() int { return len(e.msg) + MessageCost }

// NewStore returns an empty store, whose events are charged to budget; nil has no
// limit.
func NewStore(limits Limits, budget *memory.Budget) *Store {
	return &Store{limits: limits, memory: budget, tracks: map[string]*track{}}
}

// SetLimits puts other limits in force.
func (s *Store) SetLimits(limits Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = limits
	s.trimLocked(time.Now())
}

// Enabled reports whether streams are to be resumable.
func (s *Store) Enabled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.limits.Events > 0 && !s.closed
}

// begin notes a new stream, at position 0.
func (s *Store) begin(id string, st *Stream) *track {
	t := &track{id: id, stream: st, lost: -1, busy: true, begun: time.Now()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.tracks[id] = t
	}
	return t
}

// add keeps the next event of a stream, and returns its position.
func (s *Store) add(t *track, msg []byte, final bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.last++
	t.final = final
	if s.closed {
		return t.last
	}
	e := event{t, t.last, msg, time.Now()}
	for s.memory.Charge(memory.Event, int64(e.cost())) != nil {
		if len(s.events) == 0 {
			t.lost = t.last
			return t.last
		}
		s.dropLocked(1)
	}
	s.events = append(s.events, e)
	s.bytes += e.cost()
	t.count++
	s.trimLocked(e.at)
	return t.last
}

// skip leaves a position out, and returns it.
func (s *Store) skip(t *track) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.last++
	return t.last
}

// markIdle marks a stream that has no reader any more, and awaits no answer.
func (s *Store) markIdle(t *track) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.busy = false
	s.forgetLocked(t)
}

// drop forgets a stream of which the client has seen no event.
func (s *Store) drop(t *track) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tracks, t.id)
}

// Find returns the stream of the event that a client names as the last that it
// has, and the event's position. The error is ErrUnknownEvent.
func (s *Store) Find(eventID string) (st *Stream, pos int, err error) {
	id, pos, ok := parseEventID(eventID)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tracks[id]
	if !ok || t == nil {
		return nil, 0, ErrUnknownEvent
	}
	return t.stream, pos, nil
}

// after returns the events of a stream that follow pos, for a new reader, and
// what they cost.
func (s *Store) after(t *track, pos int) (events []event, bytes int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trimLocked(time.Now())
	switch {
	case s.closed, pos > t.last:
		return nil, 0, ErrUnknownEvent
	case pos < t.lost:
		return nil, 0, ErrEvicted
	}
	for _, e := range s.events {
		if e.track == t && e.pos > pos {
			events = append(events, e)
			bytes += e.cost()
		}
	}
	return events, bytes, nil
}

// markBusy marks a stream that has a reader, also if it was forgotten just now.
func (s *Store) markBusy(t *track) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.busy = true
	if !s.closed {
		s.tracks[t.id] = t
	}
}

// Expire gives up what is too old.
func (s *Store) Expire(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trimLocked(now)
}

// Close gives everything back.
func (s *Store) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.memory.Return(memory.Event, int64(s.bytes))
	s.tracks, s.events, s.bytes = nil, nil, 0
}

// trimLocked gives up the oldest events as the limits demand.
func (s *Store) trimLocked(now time.Time) {
	n, bytes := 0, s.bytes
	for ; n < len(s.events); n++ {
		e := s.events[n]
		if len(s.events)-n <= s.limits.Events && int64(bytes) <= s.limits.Bytes && now.Sub(e.at) < s.limits.Age {
			break
		}
		bytes -= e.cost()
	}
	s.dropLocked(n)
}

// dropLocked gives up the oldest n events, and returns how many bytes they were.
func (s *Store) dropLocked(n int) (freed int64) {
	before := s.bytes
	for i, e := range s.events[:n] {
		s.bytes -= e.cost()
		e.track.lost = e.pos
		e.track.count--
		s.forgetLocked(e.track)
		s.events[i] = event{}
	}
	if s.events = s.events[n:]; len(s.events) == 0 {
		s.events = nil
	}
	freed = int64(before - s.bytes)
	s.memory.Return(memory.Event, freed)
	return freed
}

// Discard gives up all events, and returns how many bytes they were.
func (s *Store) Discard() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropLocked(len(s.events))
}

// forgetLocked forgets the stream if it cannot be resumed any more. Of those
// that could, but of which nothing is kept, the oldest go beyond a number.
func (s *Store) forgetLocked(t *track) {
	switch {
	case t.busy || t.count > 0:
		return
	case t.final:
		delete(s.tracks, t.id)
		return
	}
	var old []*track
	for _, t := range s.tracks {
		if !t.busy && t.count == 0 {
			old = append(old, t)
		}
	}
	if len(old) <= oldStreams {
		return
	}
	slices.SortFunc(old, func(a, b *track) int { return a.begun.Compare(b.begun) })
	for _, t := range old[:len(old)-oldStreams] {
		delete(s.tracks, t.id)
	}
}
