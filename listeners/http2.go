package listeners

import (
	"context"
	"net"
	"net/http"
)

// serveHTTP2 hands a connection to an http.Server of its own: one can send
// GOAWAY only to all of its connections.
func (s *Server) serveHTTP2(c *Conn) {
	nc, protocol := c.httpConn.Conn, (*http.Protocols).SetHTTP2
	if c.TLS() == nil {
		nc, protocol = c.httpConn, (*http.Protocols).SetUnencryptedHTTP2
	}
	hs := s.newHTTPServer(protocol)
	hs.MaxHeaderBytes *= headerLeeway
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

// protocolListener is what is the same of listeners that give an http.Server the
// connections whose protocol is known: net/http closes them, and logs their address.
type protocolListener struct{}

func (protocolListener) Close() error   { return nil }
func (protocolListener) Addr() net.Addr { return &net.TCPAddr{} }

// single is a listener of one connection.
type single struct {
	protocolListener
	conn net.Conn
}

func (l *single) Accept() (net.Conn, error) {
	if l.conn == nil {
		return nil, net.ErrClosed
	}
	nc := l.conn
	l.conn = nil
	return nc, nil
}

// headerLeeway is how many times longer than allowed a header of HTTP/2 may be,
// to be answered with 431. Of a longer one, and of a field longer than its own
// limit, net/http makes the end of the connection, and of all requests on it.
const headerLeeway = 4

// fieldOverhead is what a field counts beside its characters, in bytes (RFC 9113
// section 6.5.2).
const fieldOverhead = 32

// headerTooLong reports whether the header of a request of HTTP/2 is longer than
// allowed. As in net/http, the overhead of ten fields is free, so that the limit
// is that of HTTP/1.1.
func (l *Limits) headerTooLong(r *http.Request) bool {
	left := int(l.MaxHeaderBytes) + 10*fieldOverhead
	left -= len(":method") + len(r.Method) + len(":path") + len(r.RequestURI) + len(":authority") + len(r.Host) + len(":schemehttps") + 4*fieldOverhead
	for name, values := range r.Header {
		for _, value := range values {
			left -= len(name) + len(value) + fieldOverhead
		}
	}
	return left < 0
}
