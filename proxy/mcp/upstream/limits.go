package upstream

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/sse"
)

// What is read at most, in bytes, unless Options say otherwise.
const (
	defaultMaxMessage = 4 << 20
	defaultMaxResult  = 16 << 20
)

// maxFraming is how much of an event may be other than the message in it.
const maxFraming = 1 << 10

// TooLongError says that the server answered, and that the answer was passed
// over because of its length. It is ErrProtocol.
type TooLongError struct {
	Limit config.Size
	// Short: it would have been short enough, had there been memory for it.
	Short bool
}

func (e *TooLongError) Error() string {
	if e.Short {
		return "the server answered, and its answer was passed over: " + memory.ErrExhausted.Error()
	}
	return fmt.Sprintf("the server's answer is longer than limits.result (%s); raise that, or ask for less at a time", e.Limit)
}

// Is makes a TooLongError ErrProtocol.
func (e *TooLongError) Is(target error) bool { return target == ErrProtocol }

// limits bound what a session reads: the length of a message, and the memory
// that all messages take while they are read.
type limits struct {
	// message and result are the longest request or notification, and the longest
	// response, in bytes.
	message, result atomic.Int64
	memory          *memory.Budget // nil has no limit
}

func newLimits(message, result int64, budget *memory.Budget) *limits {
	l := &limits{memory: budget}
	l.set(message, result)
	return l
}

// set replaces the limits. 0 or less stands for the default.
func (l *limits) set(message, result int64) {
	l.message.Store(cmp.Or(max(message, 0), defaultMaxMessage))
	l.result.Store(cmp.Or(max(result, 0), defaultMaxResult))
}

// raise makes the limits no lower than these. 0 or less stands for the default.
func (l *limits) raise(message, result int64) {
	raise := func(most *atomic.Int64, to int64) {
		for now := most.Load(); now < to && !most.CompareAndSwap(now, to); now = most.Load() {
		}
	}
	raise(&l.message, cmp.Or(max(message, 0), defaultMaxMessage))
	raise(&l.result, cmp.Or(max(result, 0), defaultMaxResult))
}

// longest is how much is read of what may be any message.
func (l *limits) longest() int64 { return max(l.message.Load(), l.result.Load()) }

// oversized reports whether a message is longer than one of its kind may be.
func (l *limits) oversized(m *jsonrpc.Message) bool {
	most := l.message.Load()
	if m.Kind() == jsonrpc.Response {
		most = l.result.Load()
	}
	return int64(len(m.Raw())) > most
}

// tooLong returns the error of an answer that is passed over; short says that
// memory was short.
func (l *limits) tooLong(short bool) error {
	return &TooLongError{Limit: config.Size(l.result.Load()), Short: short}
}

// lease returns a lease on the memory that answers may take.
func (l *limits) lease() memory.Lease { return l.memory.Lease(memory.Answer) }

// events reads a stream, whose events are messages with some words around them.
func (l *limits) events(body io.Reader) *sse.Reader {
	r := sse.NewReader(body, l.longest()+maxFraming)
	r.Skim = func(short bool) io.Writer { return &skim{short: short} }
	r.Lease = l.lease()
	return r
}

// readAll reads the body of an answer, for the caller.
func (l *limits) readAll(res *http.Response, caller *Caller) ([]byte, error) {
	lease := l.lease()
	defer caller.take(&lease)
	most := l.result.Load()
	b, err := lease.ReadAll(io.LimitReader(res.Body, most+1), res.ContentLength)
	switch {
	case errors.Is(err, memory.ErrExhausted):
		err = l.tooLong(true)
	case err == nil && int64(len(b)) > most:
		err = l.tooLong(false)
	}
	return b, err
}

// skim is what is known of a message that is passed over.
type skim struct {
	jsonrpc.Skimmer
	short bool // of memory
}

// skimmed returns what is known of the message in an event that was too long.
func skimmed(event sse.Event) (*skim, bool) {
	m, ok := event.Skimmed.(*skim)
	return m, ok
}
