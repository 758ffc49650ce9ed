package memory

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Kind is what memory is kept for.
type Kind int

const (
	// Connection is what a client's connection takes without any request.
	Connection Kind = iota
	// Session is what an MCP session takes without any message.
	Session
	// Stream is an event stream to a client.
	Stream
	// Body is a request on its way in, or waiting for its turn.
	Body
	// Answer is what a server sent, on its way to a client.
	Answer
	// Event is what is kept for clients that come back for it.
	Event
	kinds
)

var kindNames = [kinds]string{"connection", "session", "stream", "body", "answer", "event"}

// String returns the kind as metrics name it.
func (k Kind) String() string { return kindNames[k] }

// Kinds are all kinds.
func Kinds() []Kind { return []Kind{Connection, Session, Stream, Body, Answer, Event} }

// ErrExhausted says that something is refused because there is not enough memory for
// it now.
var ErrExhausted = errors.New("the gateway is short of memory")

// connectionShare is the part of the limit, as its divisor, that connections may
// take together. They alone may go beyond the limit: a peer that fills the budget
// with something else must not keep health checks from connecting.
const connectionShare = 2

// Trace tells what happens to a Budget. Every function, and a *Trace, may be
// nil. They should not block.
type Trace struct {
	// Refused is a charge that was not taken.
	Refused func(Kind)
	// Changed is a change of the level, as a watched Budget notices it.
	Changed func(from, to Level, s Stats)
}

// Budget bounds what is charged to it. It has no limit before SetLimit.
type Budget struct {
	trace *Trace
	limit atomic.Int64 // in bytes; 0 is none
	// charged is by kind, which also spreads the writers.
	charged [kinds]atomic.Int64
	// peak is the most that was charged since the last garbage collection was
	// noticed.
	peak atomic.Int64
	// uncharged is what the last garbage collection found live beyond the peak: what
	// was charged then may have been returned before the collection is noticed.
	uncharged atomic.Int64

	pressed chan struct{} // has a value when charges have passed the first level
	relief  chan struct{} // has a value while memory is to be given back

	collectEvery, idleEvery time.Duration

	closing  chan struct{}
	once     sync.Once
	watching sync.WaitGroup
}

// New returns a budget without a limit. The trace may be nil.
func New(trace *Trace) *Budget {
	return &Budget{trace: trace, pressed: make(chan struct{}, 1), relief: make(chan struct{}, 1), collectEvery: collectEvery, idleEvery: idleEvery, closing: make(chan struct{})}
}

// SetLimit puts a limit in force, in bytes; 0 is none. What is charged already
// stays charged.
func (b *Budget) SetLimit(bytes int64) { b.limit.Store(bytes) }

// Stats are the present numbers, in bytes.
type Stats struct {
	// Limit is 0 where there is none.
	Limit int64
	// Charged is by Kind.
	Charged [kinds]int64
	// Pressure is what is charged, and what is live without a charge: the greater of
	// what is charged and what is live where all that is charged is in use.
	Pressure int64
}

// Ratio is the pressure as a part of the limit; 0 where there is none.
func (s Stats) Ratio() float64 {
	if s.Limit == 0 {
		return 0
	}
	return float64(s.Pressure) / float64(s.Limit)
}

// Stats returns the present numbers.
func (b *Budget) Stats() Stats {
	if b == nil {
		return Stats{}
	}
	s := Stats{Limit: b.limit.Load(), Pressure: b.pressure()}
	for k := range s.Charged {
		s.Charged[k] = b.charged[k].Load()
	}
	return s
}

func (b *Budget) total() (n int64) {
	for k := range b.charged {
		n += b.charged[k].Load()
	}
	return n
}

// pressure is what is charged, and what is live without a charge.
func (b *Budget) pressure() int64 { return b.pressureAt(b.total()) }

func (b *Budget) pressureAt(charged int64) int64 { return charged + b.uncharged.Load() }

// note remembers the most that was charged.
func (b *Budget) note(charged int64) {
	for {
		peak := b.peak.Load()
		if charged <= peak || b.peak.CompareAndSwap(peak, charged) {
			return
		}
	}
}

// Charge takes n bytes, which Return gives back. The error is ErrExhausted.
func (b *Budget) Charge(k Kind, n int64) error { return b.charge(k, n, n > long) }

// charge is Charge for a part of something that is long or not.
func (b *Budget) charge(k Kind, n int64, isLong bool) error {
	if b == nil {
		return nil
	}
	own := b.charged[k].Add(n)
	limit := b.limit.Load()
	if limit == 0 {
		return nil
	}
	charged := b.total()
	b.note(charged)
	pressure := b.pressureAt(charged)
	if pressure >= share(limit, High) {
		signal(b.pressed)
	}
	if refuses(k, isLong, pressure, limit) || k == Connection && own > limit/connectionShare {
		b.charged[k].Add(-n)
		b.refused(k)
		return ErrExhausted
	}
	return nil
}

// refuses reports whether a pressure that holds the charge already is too much for
// it. A peer that fills the memory with long bodies, long answers and events leaves
// room for the short ones of others.
func refuses(k Kind, isLong bool, pressure, limit int64) bool {
	switch {
	case k == Connection:
		return false // they have a bound of their own
	case k == Session, k == Stream:
		return pressure >= share(limit, High)
	case k == Event, k == Answer && isLong:
		return pressure > share(limit, Severe)
	case isLong: // it was let in, and grows
		return pressure > limit/100*RuntimeShare
	}
	return pressure > share(limit, Critical)
}

// RuntimeShare is the part of the limit, in percent, that the Go runtime is to be
// told (GOMEMLIMIT), and up to which long bodies grow: beyond it the runtime would
// do little else than collect garbage.
const RuntimeShare = 90

// Exchange takes n bytes in the place of some that were charged, also where new
// ones would not be taken. The error is ErrExhausted, and those stay charged.
func (b *Budget) Exchange(k Kind, given, n int64) error {
	if b == nil {
		return nil
	}
	b.charged[k].Add(n - given)
	if limit := b.limit.Load(); n > given && limit > 0 && refuses(Body, false, b.pressure(), limit) {
		b.charged[k].Add(given - n)
		b.refused(k)
		return ErrExhausted
	}
	return nil
}

// Return gives back what was charged.
func (b *Budget) Return(k Kind, n int64) {
	if b != nil {
		b.charged[k].Add(-n)
	}
}

func (b *Budget) refused(k Kind) {
	if b.trace != nil && b.trace.Refused != nil {
		b.trace.Refused(k)
	}
}

// signal makes a channel of one have a value.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
