package listeners

import (
	"context"
	cryptotls "crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

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

// quicServer is the HTTP/3 side of a Server.
type quicServer struct {
	server *Server
	tls    *cryptotls.Config // follows that of the server; nil on plain text
	linger time.Duration     // how long the last answer has to arrive
}

// take makes the Conn of a handshake that begins. proven says that the client is
// where it says: else it counts as one of that address when it has proven it,
// which keeps others from using up its places. It does not block.
func (q *quicServer) take(remote, local net.Addr, places *places, proven bool) (c *Conn, refusal string) {
	q.server.handshakes.Add(1)
	if c, refusal = q.server.admit(nil, remote, local, places, proven); refusal != "" {
		q.server.handshakes.Add(-1)
	}
	return c, refusal
}

// fail forgets a connection that has not come to be, unless it has meanwhile.
func (q *quicServer) fail(c *Conn, cause error) {
	if c.advance(phaseGone, nil, nil) {
		q.ended(c, cause)
		q.server.remove(c)
	}
}

// ended reports a handshake that has ended.
func (q *quicServer) ended(c *Conn, err error) {
	q.server.handshakes.Add(-1)
	q.server.trace.handshake(c.Listener(), c.peer, err, time.Since(c.quic.began))
}

// serve serves a connection whose handshake has ended. It does not block.
func (q *quicServer) serve(qc *quic.Conn) {
	s, c := q.server, FromContext(qc.Context())
	hasPlace := c.quic.proven()
	cs := qc.ConnectionState().TLS
	c.handshaken(&cs)
	var err error
	// As in handshake: no policy has looked at this connection.
	if now := s.tls.Snapshot(); now != c.quic.snapshot {
		err = now.Verify(cs)
	}
	c.quic.snapshot = nil
	if err == nil && !hasPlace {
		s.trace.rejected(s.config.Name, perAddress, c.peer, nil)
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
	if err == nil && c.advance(phaseHTTP3, func() { s.running.Go(func() { q.goAway(c, hs, qc) }) }, end) {
		q.ended(c, nil)
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
	q.fail(c, err)
}

// bare leaves of what http3 logs what the trace does not know already.
func bare(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
		return slog.Attr{}
	}
	return a
}

// goAway sends GOAWAY (RFC 9114 section 5.2), has requests in progress
// finish, and closes the connection once their answers must have arrived: a
// client should do that itself, and many do not.
func (q *quicServer) goAway(c *Conn, hs *http3.Server, qc *quic.Conn) {
	told := time.Now()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = hs.Shutdown(context.Background()) // until the connection has ended
	}()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for time.Since(told) < quietMoment || !c.http3.delivered(max(q.lingers(), lingerTrips*qc.ConnectionStats().SmoothedRTT)) {
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
func (q *quicServer) lingers() time.Duration {
	if isClosed(q.server.shutting) {
		return min(shutdownLinger, q.linger)
	}
	return q.linger
}
