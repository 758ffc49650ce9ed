package listeners

import (
	"net"
	"net/http"
	"sync"

	"github.com/mcpgateway/mcpgateway/internal/memory"
)

// http1 is the HTTP/1.1 side of a Server: one http.Server, which is given
// connections whose protocol is known.
type http1 struct {
	protocolListener
	server *Server
	conns  chan net.Conn
	once   sync.Once
}

// start runs the http.Server, once, until the Server is empty. Called while that
// has a connection.
func (h *http1) start() {
	h.once.Do(func() {
		s := h.server
		hs := s.newHTTPServer((*http.Protocols).SetHTTP1)
		hs.ReadHeaderTimeout = s.config.Limits.HeaderTimeout
		hs.ConnState = h.connState
		s.running.Go(func() { _ = hs.Serve(h) }) // until net.ErrClosed
	})
}

// serve hands a connection to the http.Server. It is removed when that is done
// with it, or when the handler that hijacked it closes it.
func (h *http1) serve(c *Conn) {
	c.heads.lease = h.server.memory.Lease(memory.Body)
	c.httpConn.framing = &framing{heads: &c.heads}
	// The server is empty only after this connection is removed.
	h.conns <- c.httpConn.outer()
}

// Accept makes http1 the listener of its http.Server.
func (h *http1) Accept() (net.Conn, error) {
	select {
	case nc := <-h.conns:
		return nc, nil
	case <-h.server.empty:
		return nil, net.ErrClosed
	}
}

// connState follows a connection through net/http, in its goroutine.
func (h *http1) connState(nc net.Conn, state http.ConnState) {
	w := httpConnOf(nc)
	switch state {
	case http.StateActive:
		if w.timedOut.Load() {
			return // part of a header is no request; see httpConn.Close
		}
		w.conn.setPhase(phaseActive)
	case http.StateIdle:
		w.heard.Store(false)
		w.conn.heads.served()
		w.conn.setPhase(phaseIdle)
	case http.StateHijacked:
		// What was taken for a next request is the hijacker's.
		w.prefix = append(w.framing.withheld, w.prefix...)
		w.framing = nil
		w.conn.setPhase(phaseHijacked)
	case http.StateClosed:
		h.server.remove(w.conn)
	}
}
