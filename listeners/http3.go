package listeners

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// quietMoment is how long a connection that got GOAWAY may be without a
// request before it is closed: clients close it themselves, and the frame
// should arrive before the end does.
const quietMoment = time.Second

// errClosed ends a handshake that was begun on a server which has been closed
// since.
var errClosed = errors.New("the listener was closed")

// takeQUIC makes the Conn of a handshake that begins. It does not block.
func (s *Server) takeQUIC(remote, local net.Addr, open *atomic.Int64) (c *Conn, refusal string) {
	if open.Add(1) > int64(s.config.Limits.MaxConnections) {
		open.Add(-1)
		return nil, "max_connections"
	}
	c = newConn(s, remote, local, open)
	c.began = time.Now()
	c.snapshot = s.tls.Snapshot()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.settled {
		open.Add(-1)
		return nil, "closed"
	}
	if s.draining {
		c.retire(time.Now())
	}
	s.handshakes.Add(1)
	s.conns[c] = struct{}{}
	s.trace.opened(s.config.Name)
	return c, ""
}

// endHandshake is called when a QUIC connection has ended, or never came to
// be.
func (s *Server) endHandshake(c *Conn, cause error) {
	if !c.is(phaseHandshake) {
		return
	}
	s.handshakes.Add(-1)
	s.trace.handshake(s.config.Name, c.peer, handshakeGone(cause), time.Since(c.began))
	s.remove(c)
}

// serveQUIC serves a connection whose handshake has ended. It does not block.
func (s *Server) serveQUIC(qc *quic.Conn) {
	c := FromContext(qc.Context())
	cs := qc.ConnectionState().TLS
	c.handshaken(&cs)
	var err error
	// As in handshake: nobody has looked this one over.
	if now := s.tls.Snapshot(); now != c.snapshot {
		err = now.Verify(cs)
	}
	c.snapshot = nil
	hs := &http3.Server{
		Handler:        http.HandlerFunc(s.handle),
		MaxHeaderBytes: int(s.config.Limits.MaxHeaderBytes),
		Logger:         slog.New(slog.DiscardHandler), // what it says, the trace says
	}
	if cs.NegotiatedProtocol != protoHTTP3 {
		err = fmt.Errorf("the client speaks %q over QUIC", cs.NegotiatedProtocol)
	}
	s.mu.Lock()
	if s.closed {
		err = errClosed
	}
	s.mu.Unlock()
	cut := func() { _ = qc.CloseWithError(codeNoError, "") }
	if err == nil && c.speaksHTTP3(func() { s.running.Go(func() { c.goAwayQUIC(hs, qc) }) }, cut) {
		s.handshakes.Add(-1)
		s.trace.handshake(s.config.Name, c.peer, nil, time.Since(c.began))
		c.awaitRequest()
		s.running.Go(func() {
			_ = hs.ServeQUICConn(qc) // until the connection, and each of its handlers, has ended
			s.remove(c)
		})
		return
	}
	// Refused, or told to leave before it began.
	_ = qc.CloseWithError(codeNoError, "")
	if err != nil {
		s.trace.handshake(s.config.Name, c.peer, err, time.Since(c.began))
	}
	c.setPhase(phaseHTTP3)
	s.handshakes.Add(-1)
	s.remove(c)
}

// speaksHTTP3 has leave send GOAWAY, and kill cut, from now on. It reports
// false if the connection is to leave already.
func (c *Conn) speaksHTTP3(goAway, cut func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving {
		return false
	}
	c.phase, c.goAway, c.cut = phaseHTTP3, goAway, cut
	if at := c.retireAt.Load(); at != 0 {
		c.leaveAt(time.Unix(0, at))
	}
	return true
}

// goAwayQUIC sends GOAWAY (RFC 9114 section 5.2), has requests in progress
// finish, and closes the connection when there are none for a moment: a client
// need not do that itself.
func (c *Conn) goAwayQUIC(hs *http3.Server, qc *quic.Conn) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = hs.Shutdown(context.Background()) // until the connection has ended
	}()
	look := time.NewTicker(hurry)
	defer look.Stop()
	quiet := time.Duration(0)
	for quiet < quietMoment {
		select {
		case <-done:
			return
		case <-look.C:
		}
		if quiet += hurry; c.requests.Load() > 0 {
			quiet = 0
		}
	}
	_ = qc.CloseWithError(codeNoError, "")
	<-done
}
