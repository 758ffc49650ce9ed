package transport

import (
	"cmp"
	"context"
	"net/http/httptrace"
	"sync"
)

// interruption tells net/http of the end of an exchange. There is one exception:
// net/http puts a connection of HTTP/1.1 among the idle ones before the request that
// was answered has left it. A request that is cancelled then closes the connection
// under the next one, which fails with the cause of the first and may have been acted
// upon. So over HTTP/1.1 net/http learns of the end only where no whole answer can come
// any more, or once the round trip is over.
type interruption struct {
	caller context.Context
	// ctx is what net/http is given: the values of the caller's, and an end of its own.
	ctx    context.Context
	cancel context.CancelCauseFunc
	unwait func() bool // of the end of the caller's context

	mu    sync.Mutex
	head  *headScan // of the connection, while an answer is awaited over HTTP/1.1
	turn  uint64    // of the request on it
	cause error     // of stop
}

// begin awaits the end of the caller's context. The trace is told by net/http.
func (i *interruption) begin(caller context.Context, trace *httptrace.ClientTrace) {
	i.caller = caller
	i.ctx, i.cancel = context.WithCancelCause(context.WithoutCancel(httptrace.WithClientTrace(caller, trace)))
	i.unwait = context.AfterFunc(caller, func() { i.stop(context.Cause(caller)) })
}

// why is why the exchange has ended, nil while it has not.
func (i *interruption) why() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	return cmp.Or(i.cause, context.Cause(i.caller))
}

// stop ends the exchange. net/http knows of it when stop returns, unless the answer
// has come: then the end of the round trip is near.
func (i *interruption) stop(cause error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.cause = cmp.Or(i.cause, cause)
	i.cancelLocked()
}

// cancelLocked tells net/http of the end, if there is one that it may learn of now.
// Called with mu held.
func (i *interruption) cancelLocked() {
	if i.cause != nil && (i.head == nil || i.head.cut(i.turn)) {
		i.cancel(i.cause)
	}
}

// carriedBy is called when the request has got a connection, again where net/http
// repeats it; head is nil where that does not speak HTTP/1.1.
func (i *interruption) carriedBy(head *headScan, turn uint64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.head, i.turn = head, turn
	i.cancelLocked()
}

// answered is called when the round trip is over: net/http gives a connection away
// from now on only once the body is read.
func (i *interruption) answered() { i.carriedBy(nil, 0) }

// end is called when the exchange is over.
func (i *interruption) end() {
	i.unwait()
	i.stop(context.Canceled)
}
