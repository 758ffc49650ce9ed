package eventstream

import "github.com/mcpgateway/mcpgateway/internal/memory"

// Outlet is where the messages and the answer of one call go. A [Stream] is one;
// others share a stream between several calls.
type Outlet interface {
	// Open reports whether the client takes messages before the answer.
	Open() bool
	// Send takes a message, which must not be changed afterwards, and reports
	// whether it did.
	Send(msg []byte) bool
	// Finish takes the answer, whether or not there is memory for it. status is
	// the HTTP status where nothing was written before. The first answer counts.
	Finish(status int, answer []byte)
	// Offer does what Finish does, but reports false, and takes nothing, where
	// there is no memory for the answer: then Finish is to be given a short one.
	Offer(status int, answer []byte) bool
}

// shortAnswer is how long an answer may be, in bytes, that is kept also where
// there is no memory: each call gets one.
const shortAnswer = 4 << 10

// Importance says what becomes of a message for a client where there is no
// memory to keep it.
type Importance int

const (
	// Droppable: the message is not taken.
	Droppable Importance = iota
	// Replaceable: a short answer is given in its place.
	Replaceable
	// Required: the message is kept all the same.
	Required
)

// Charge charges what is kept for a client, and reports whether it may be kept.
func (i Importance) Charge(l *memory.Lease, bytes int) bool {
	if l.Grow(bytes) == nil {
		return true
	}
	if i == Droppable || i == Replaceable && bytes > shortAnswer {
		return false
	}
	l.Force(bytes)
	return true
}
