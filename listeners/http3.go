package listeners

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

const (
	// quietMoment is how long a connection has at least between GOAWAY and its
	// end: the frame should arrive first.
	quietMoment = time.Second
	// drainLinger is how long one has at least between its last answer and its
	// end: CONNECTION_CLOSE makes a client drop what is still on its way to it,
	// and what it has not read yet, and quic-go does not tell when it has.
	drainLinger = 10 * time.Second
	// shutdownLinger is the same where the init system waits for the process to end.
	shutdownLinger = 3 * time.Second
	// lingerTrips is both in round trips, for what was lost and is sent again.
	lingerTrips = 10
	// lookEvery is how often a connection is looked at that is to end.
	lookEvery = 250 * time.Millisecond
)

// errClosed ends a handshake on a server that was closed, or is about to be.
var errClosed = errors.New("the listener was closed")

// takeQUIC makes the Conn of a handshake that begins. proven says that the client
// is where it says: else it counts as one of that address when it has proven it,
// which keeps others from using up its places. It does not block.
func (s *Server) takeQUIC(remote, local net.Addr, places *places, proven bool) (c *Conn, refusal string) {
	if places.open.Add(1) > int64(s.config.Limits.MaxConnections) {
		places.open.Add(-1)
		return nil, "max_connections"
	}
	if s.memory.Level() >= memory.Severe || s.memory.Charge(memory.Connection, connectionCost) != nil {
		places.open.Add(-1)
		return nil, "memory"
	}
	c = newConn(s, remote, local, places)
	if proven && !c.takeClientPlace() {
		s.vacate(c)
		return nil, perAddress
	}
	c.began = time.Now()
	c.snapshot = s.tls.Snapshot()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.drained {
		s.vacate(c)
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

// failHandshake forgets a QUIC connection that has not come to be, unless it has
// meanwhile.
func (s *Server) failHandshake(c *Conn, cause error) {
	if !c.advance(phaseGone, nil, nil) {
		return
	}
	s.handshakes.Add(-1)
	s.trace.handshake(s.config.Name, c.peer, cause, time.Since(c.began))
	s.remove(c)
}

// serveQUIC serves a connection whose handshake has ended. It does not block.
func (s *Server) serveQUIC(qc *quic.Conn) {
	c := FromContext(qc.Context())
	hasPlace := c.proven()
	cs := qc.ConnectionState().TLS
	c.handshaken(&cs)
	var err error
	// As in handshake: no policy has looked at this connection.
	if now := s.tls.Snapshot(); now != c.snapshot {
		err = now.Verify(cs)
	}
	c.snapshot = nil
	if err == nil && !hasPlace {
		s.trace.rejected(s.config.Name, perAddress, c.peer)
		err = errPerAddress
	}
	hs := &http3.Server{
		Handler:        http.HandlerFunc(s.handle),
		MaxHeaderBytes: int(s.config.Limits.MaxHeaderBytes),
		Logger:         slog.New(slog.NewTextHandler(s.errorLog.Writer(), &slog.HandlerOptions{Level: slog.LevelError, ReplaceAttr: bare})),
	}
	if cs.NegotiatedProtocol != protoHTTP3 {
		err = fmt.Errorf("the client speaks %q over QUIC", cs.NegotiatedProtocol)
	}
	s.mu.Lock()
	if s.closed {
		err = errClosed
	}
	s.mu.Unlock()
	end := func() { _ = qc.CloseWithError(codeNoError, "") }
	if err == nil && c.advance(phaseHTTP3, func() { s.running.Go(func() { c.goAwayQUIC(hs, qc) }) }, end) {
		s.handshakes.Add(-1)
		s.trace.handshake(s.config.Name, c.peer, nil, time.Since(c.began))
		c.awaitRequest()
		s.running.Go(func() {
			_ = hs.ServeQUICConn(qc) // until the connection, and each of its handlers, has ended
			end()                    // it may also give up a client that is still there
			s.remove(c)
		})
		return
	}
	// Refused, gone, or told to leave before it began.
	end()
	if err == nil {
		err = errClosed
	}
	s.failHandshake(c, err)
}

// bare leaves of what http3 logs what the trace does not know already.
func bare(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
		return slog.Attr{}
	}
	return a
}

// goAwayQUIC sends GOAWAY (RFC 9114 section 5.2), has requests in progress
// finish, and closes the connection once their answers must have arrived: a
// client should do that itself, and many do not.
func (c *Conn) goAwayQUIC(hs *http3.Server, qc *quic.Conn) {
	told := time.Now()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = hs.Shutdown(context.Background()) // until the connection has ended
	}()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for time.Since(told) < quietMoment || !c.delivered(max(c.server.lingers(), lingerTrips*qc.ConnectionStats().SmoothedRTT)) {
		select {
		case <-done:
			return
		case <-look.C:
		}
	}
	_ = qc.CloseWithError(codeNoError, "")
	<-done
}

// lingers is how long an answer has to arrive.
func (s *Server) lingers() time.Duration {
	if isClosed(s.shutting) {
		return min(shutdownLinger, s.linger)
	}
	return s.linger
}
