package proxy

import (
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/mcpgateway/mcpgateway/listeners"
)

// A dispatcher is the handler of one server, for life. It leads each request to the
// generation that serves it: the newest, unless a commit has pinned the server
// or the connection to the one before. Routes may be written for clients that
// were let in under other rules, so a request never takes the newer ones because
// it came at the moment of a commit.
type dispatcher struct {
	gateway  *Gateway
	listener string
	pinned   atomic.Pointer[Generation]
	// conns are connections with a pin of their own: *listeners.Conn to
	// *Generation, until the connection has ended.
	conns sync.Map
}

// pin leads every later request of the server to gen. The caller keeps gen in
// use until the server is done.
func (t *dispatcher) pin(gen *Generation) { t.pinned.Store(gen) }

// pinConn leads every later request of the connection to gen, and reports
// whether it had no pin before: one that was refused earlier stays where it was.
// The caller keeps gen in use until the connection has ended, and calls unpin.
func (t *dispatcher) pinConn(c *listeners.Conn, gen *Generation) bool {
	_, pinned := t.conns.LoadOrStore(c, gen)
	return !pinned
}

func (t *dispatcher) unpin(c *listeners.Conn) { t.conns.Delete(c) }

// enter returns the generation for a request, with a use of it; nil when no
// client waits for the answer any more, and the generation may be freed.
func (t *dispatcher) enter(c *listeners.Conn) *Generation {
	for {
		// The pins are looked up after the pointer: a commit pins before it
		// swaps, so a request that sees the newer generation sees the pin.
		newest := t.gateway.current.Load()
		gen, pinned := t.pinOf(c)
		if !pinned {
			gen = newest
		}
		if isClosed(c.Done()) { // unpinned, perhaps
			return nil
		}
		if gen.use() {
			return gen
		}
		if pinned || gen == t.gateway.current.Load() {
			return nil
		}
	}
}

func (t *dispatcher) pinOf(c *listeners.Conn) (*Generation, bool) {
	if gen, ok := t.conns.Load(c); ok {
		return gen.(*Generation), true
	}
	gen := t.pinned.Load()
	return gen, gen != nil
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// ServeHTTP serves a request by one generation, from its filters to its cluster.
func (t *dispatcher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	gen := t.enter(listeners.FromContext(r.Context()))
	if gen == nil {
		panic(http.ErrAbortHandler)
	}
	defer gen.done()
	gen.serve(t.listener, w, r)
}
