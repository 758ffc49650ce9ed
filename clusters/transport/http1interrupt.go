package transport

import (
	"context"
	"sync"
)

// interruption tells net/http of the end of an exchange, but for one moment: net/http
// puts a connection of HTTP/1.1 among the idle ones before the request that was
// answered has left it. A request that is cancelled then closes the connection under
// the next one, which fails with the cause of the first and may have been acted upon.
// So net/http learns of the end only where no whole answer can come any more, or
// once the round trip is over.
//
// A nil interruption does nothing: net/http sees the context of the exchange.
type interruption struct {
	x *exchange
	// ctx is what net/http is given.
	ctx    context.Context
	cancel context.CancelCauseFunc
	unwait func() bool // of the end of the exchange's context

	mu    sync.Mutex
	head  *headScan // of the connection, while an answer is awaited over HTTP/1.1
	turn  uint64    // of the request on it
	ended bool      // the context of the exchange has ended
}

func newInterruption(x *exchange) *interruption {
	i := &interruption{x: x}
	i.ctx, i.cancel = context.WithCancelCause(context.WithoutCancel(x.ctx))
	i.unwait = context.AfterFunc(x.ctx, i.now)
	return i
}

// now is called when the context of the exchange has ended, more than once maybe.
func (i *interruption) now() {
	if i == nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.ended = true
	i.tellLocked()
}

// tellLocked cancels what net/http does, unless the answer has come: then the end of
// the round trip is near.
func (i *interruption) tellLocked() {
	if i.head == nil || i.head.cut(i.turn) {
		i.cancel(context.Cause(i.x.ctx))
	}
}

// carriedBy is called when the request has got a connection of HTTP/1.1, again where
// net/http repeats it.
func (i *interruption) carriedBy(head *headScan, turn uint64) {
	if i == nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.head, i.turn = head, turn
	if i.ended {
		i.tellLocked()
	}
}

// answered is called when the round trip is over: net/http gives a connection away
// from now on only once the body is read.
func (i *interruption) answered() {
	if i == nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.head = nil
	if i.ended {
		i.tellLocked()
	}
}

// end is called when the exchange is over.
func (i *interruption) end() {
	if i != nil {
		i.unwait()
		i.cancel(nil)
	}
}
