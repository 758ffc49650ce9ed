package transport

import (
	"context"
	"net"
	"sync"
)

// interruption ends a request over HTTP/1.1 before its answer has come, by closing
// the connection. Were net/http told, it would do the same, too late: it puts a
// connection among the idle ones before the request that was answered has left it,
// and closes it then under the next request, which fails with the cause of the first
// and may have been acted upon. The connection itself knows whom it was given to.
//
// A nil interruption does nothing: net/http sees the context of the exchange.
type interruption struct {
	x *exchange
	// ctx is what net/http is given; end cancels it.
	ctx    context.Context
	cancel context.CancelFunc
	stop   func() bool // stops to wait for the end of the exchange's context

	mu    sync.Mutex
	conn  net.Conn // HTTP/1.1, while the answer is awaited
	head  *headScan
	ended bool // the context of the exchange has ended
	shut  bool // the connection was closed for that
}

func newInterruption(x *exchange) *interruption {
	i := &interruption{x: x}
	i.ctx, i.cancel = context.WithCancel(context.WithoutCancel(x.ctx))
	i.stop = context.AfterFunc(x.ctx, i.now)
	return i
}

// now is called once the context of the exchange has ended.
func (i *interruption) now() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.ended = true
	i.closeLocked()
}

func (i *interruption) closeLocked() {
	if i.conn == nil {
		i.cancel() // net/http waits for a connection, HTTP/2, or the body
		return
	}
	i.shut = i.head.closeFor(i.x, i.conn)
}

// carriedBy is called when the request has got a connection of HTTP/1.1.
func (i *interruption) carriedBy(c net.Conn, head *headScan) {
	if i == nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.conn, i.head = c, head
	if i.ended {
		i.closeLocked()
	}
}

// answered is called when the round trip is over: from now on net/http may be told,
// since it gives a connection away only once the body is read.
func (i *interruption) answered() {
	if i == nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.conn = nil
	if i.ended {
		i.cancel()
	}
}

// closed reports whether a connection was closed to end the request.
func (i *interruption) closed() bool {
	if i == nil {
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.shut
}

// end is called when the exchange is over.
func (i *interruption) end() {
	if i != nil {
		i.stop()
		i.cancel()
	}
}
