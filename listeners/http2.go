package listeners

import (
	"context"
	"net"
	"net/http"
)

// serveHTTP2 hands a connection to an http.Server of its own: one can send
// GOAWAY only to all of its connections.
func (s *Server) serveHTTP2(c *Conn) {
	nc, protocol := c.wire.Conn, (*http.Protocols).SetHTTP2
	if c.TLS() == nil {
		nc, protocol = c.wire, (*http.Protocols).SetUnencryptedHTTP2
	}
	hs := s.newHTTPServer(protocol)
	hs.HTTP2 = &http.HTTP2Config{
		MaxConcurrentStreams:          s.config.Limits.MaxConcurrentStreams,
		MaxReceiveBufferPerStream:     streamWindow,
		MaxReceiveBufferPerConnection: s.config.Limits.connectionWindow(),
	}
	hs.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			s.remove(c)
		}
	}
	// Shutdown, with no time to wait, sends GOAWAY and leaves it at that: to
	// it a connection of HTTP/2 is never idle.
	expired, cancel := context.WithCancel(context.Background())
	cancel()
	if !c.speaksHTTP2(func() { _ = hs.Shutdown(expired) }) {
		_ = nc.Close()
		s.remove(c)
		return
	}
	only := &single{conn: nc}
	_ = hs.Serve(only) // returns once the connection has its goroutine
	if only.conn != nil {
		// It was told to leave before it was taken.
		_ = nc.Close()
		s.remove(c)
	}
}

// speaksHTTP2 has leave send GOAWAY from now on. It reports false if the
// connection is to leave already.
func (c *Conn) speaksHTTP2(goAway func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving {
		return false
	}
	c.phase = phaseHTTP2
	c.goAway = goAway
	return true
}

// single is a listener of one connection.
type single struct{ conn net.Conn }

func (l *single) Accept() (net.Conn, error) {
	if l.conn == nil {
		return nil, net.ErrClosed
	}
	nc := l.conn
	l.conn = nil
	return nc, nil
}

func (l *single) Close() error   { return nil }
func (l *single) Addr() net.Addr { return &net.TCPAddr{} }
