package upstream

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

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

// reads makes the session read messages as long as opts allow, if it has not
// read as long ones before.
func (s *Session) reads(opts Options) {
	raise := func(most *atomic.Int64, to int64) {
		for now := most.Load(); now < to && !most.CompareAndSwap(now, to); now = most.Load() {
		}
	}
	raise(&s.mostMessage, opts.MaxMessage)
	raise(&s.mostResult, opts.MaxResult)
}

// longest is how much is read of what may be any message.
func (s *Session) longest() int64 { return max(s.mostMessage.Load(), s.mostResult.Load()) }

func (s *Session) tooLong(short bool) error {
	return &TooLongError{Limit: config.Size(s.mostResult.Load()), Short: short}
}

// skim is what is known of a message that is passed over.
type skim struct {
	jsonrpc.Skimmer
	short bool // of memory
}

// oversized reports whether a message is longer than one of its kind may be.
func (s *Session) oversized(m *jsonrpc.Message) bool {
	most := s.mostMessage.Load()
	if m.Kind() == jsonrpc.Response {
		most = s.mostResult.Load()
	}
	return int64(len(m.Raw())) > most
}

// errPassedOver: a response is too long and belongs to no call.
var errPassedOver = errors.New("what the server sent is longer than limits.result, and answers no call")

// passOver takes a message that is too long and that answers no call.
func (s *Session) passOver(m *jsonrpc.Message) {
	if m.Kind() == jsonrpc.Response {
		s.ignore(errPassedOver)
		return
	}
	s.passOverCall(m.ID())
}

// passOverCall takes a notification or a request of the server that is too
// long. A server that asks is told.
func (s *Session) passOverCall(id jsonrpc.ID) {
	err := fmt.Errorf("a message of the server is longer than limits.message (%s)", config.Size(s.mostMessage.Load()))
	s.ignore(err)
	if !id.IsZero() {
		s.refuse(id, err)
	}
}

// skimmed takes what was too long to be kept, and answers no call.
func (s *Session) skimmed(m *skim) {
	if m.IsCall() {
		s.passOverCall(m.ID())
	} else {
		s.ignore(errPassedOver)
	}
}

// skimmed takes what was too long to be kept.
func (d *duplex) skimmed(m *skim) {
	id := m.ID()
	switch {
	case m.IsResponse() && !id.IsZero() && d.fail(id, d.s.tooLong(m.short)):
	case m.IsMessage() && !m.IsCall() && id.IsZero() && d.failAll(d.s.tooLong(m.short)):
	default:
		d.s.skimmed(m)
	}
}

// receiveSized takes a message, unless it is too long.
func (d *duplex) receiveSized(m *jsonrpc.Message) {
	switch {
	case !d.s.oversized(m):
		d.dispatch(m)
	case m.Kind() != jsonrpc.Response || !d.fail(m.ID(), d.s.tooLong(false)):
		d.s.passOver(m)
	}
}
