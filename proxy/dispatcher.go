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
	generations *generations
	listener    string
	pinned      atomic.Pointer[Generation]
	// conns are connections with a pin of their own: *listeners.Conn to
	// *Generation, until the connection has ended.
	conns sync.Map
}

// pin leads every later request of the server to gen. The caller keeps gen in
// use until the server is done.
func (d *dispatcher) pin(gen *Generation) { d.pinned.Store(gen) }

// pinConn leads every later request of the connection to gen, and reports
// whether it had no pin before: one that was refused earlier stays where it was.
// The caller keeps gen in use until the connection has ended, and calls unpin.
func (d *dispatcher) pinConn(c *listeners.Conn, gen *Generation) bool {
	_, pinned := d.conns.LoadOrStore(c, gen)
	return !pinned
}

func (d *dispatcher) unpin(c *listeners.Conn) { d.conns.Delete(c) }

// enter returns the generation for a request, with a use of it; nil when no
// client waits for the answer any more, and the generation may be freed.
func (d *dispatcher) enter(c *listeners.Conn) *Generation {
	for {
		// The pins are looked up after the pointer: a commit pins before it
		// swaps, so a request that sees the newer generation sees the pin.
		newest := d.generations.newest()
		gen, pinned := d.pinOf(c)
		if !pinned {
			gen = newest
		}
		select {
		case <-c.Done(): // unpinned, perhaps
			return nil
		default:
		}
		if gen.use() {
			return gen
		}
		if pinned || gen == d.generations.newest() {
			return nil
		}
	}
}

func (d *dispatcher) pinOf(c *listeners.Conn) (*Generation, bool) {
	if gen, ok := d.conns.Load(c); ok {
		return gen.(*Generation), true
	}
	gen := d.pinned.Load()
	return gen, gen != nil
}

// ServeHTTP serves a request by one generation, from its filters to its cluster.
func (d *dispatcher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	gen := d.enter(listeners.FromContext(r.Context()))
	if gen == nil {
		panic(http.ErrAbortHandler)
	}
	defer gen.done()
	gen.serve(d.listener, w, r)
}
