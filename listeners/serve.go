package listeners

import (
	cryptotls "crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/http2"
)

// The protocols, by their ALPN names, which the configuration uses, too.
const (
	protoHTTP1 = "http/1.1"
	protoHTTP2 = "h2"
)

// serve brings a connection through its handshake to the server of its
// protocol. HTTP/2 is served here; HTTP/1.1 has a goroutine of its own.
func (s *Server) serve(c *Conn) {
	c.wire = &wire{Conn: c.raw, conn: c}
	if s.tls != nil {
		if !s.handshake(c) {
			c.raw.Close()
			s.remove(c)
			return
		}
	}
	c.setPhase(phaseIdle)
	switch proto, refusal := s.protocol(c); {
	case refusal != "":
		s.trace.rejected(s.config.Name, refusal, c.raw.RemoteAddr())
		fallthrough
	case proto == "":
		c.wire.Close()
		s.remove(c)
	case proto == protoHTTP2:
		s.serveHTTP2(c)
		s.remove(c)
	default:
		s.http1.serve(c)
	}
}

// handshake speaks TLS. The peer is authorised in it, by the snapshot that was
// current when it began.
func (s *Server) handshake(c *Conn) bool {
	s.handshakes.Add(1)
	defer s.handshakes.Add(-1)
	began, before := time.Now(), s.tls.Snapshot()
	c.raw.SetDeadline(began.Add(s.config.Limits.HeaderTimeout))
	conn := cryptotls.Server(c.raw, s.tlsConfig)
	err := conn.Handshake()
	if err == nil {
		cs := conn.ConnectionState()
		c.handshaken(&cs)
		// A snapshot that came meanwhile has looked over the open connections,
		// and did not find this one among them.
		if now := s.tls.Snapshot(); now != before {
			err = now.Verify(cs)
		}
	}
	var notTLS cryptotls.RecordHeaderError
	if errors.As(err, &notTLS) && notTLS.Conn != nil && looksLikeHTTP(notTLS.RecordHeader) {
		err = errors.New("the client sent plain HTTP to a TLS port")
		refusePlainHTTP(c.raw)
	}
	s.trace.handshake(s.config.Name, c.raw.RemoteAddr(), err, time.Since(began))
	if err != nil {
		return false
	}
	c.raw.SetDeadline(time.Time{})
	c.wire.Conn = conn
	return true
}

// protocol finds out what is spoken: by ALPN, else by the client's first bytes,
// for which it waits as for any next request. Both results are empty when the
// client went away without a word.
func (s *Server) protocol(c *Conn) (proto, refusal string) {
	cs := c.TLS()
	if cs != nil && cs.NegotiatedProtocol == protoHTTP2 {
		return protoHTTP2, ""
	}
	if cs != nil && !s.config.serves(protoHTTP1) {
		return "", "no_application_protocol"
	}
	isHTTP2, err := c.wire.readPreface(cs == nil && s.config.serves(protoHTTP2))
	switch {
	case err != nil:
		return "", ""
	case isHTTP2:
		return protoHTTP2, ""
	case !s.config.serves(protoHTTP1):
		return "", "not_http2"
	}
	return protoHTTP1, ""
}

// readPreface waits for the first bytes, and reports whether they are the
// preface of HTTP/2 (RFC 9113 section 3.4), if that may be. What it read of
// anything else is read again.
func (w *wire) readPreface(maybeHTTP2 bool) (isHTTP2 bool, err error) {
	limits := &w.conn.server.config.Limits
	w.SetReadDeadline(time.Now().Add(limits.IdleTimeout))
	buf := make([]byte, 0, len(http2.ClientPreface))
	for {
		n, err := w.Read(buf[len(buf):cap(buf)])
		if n == 0 && err != nil {
			return false, err
		}
		if len(buf) == 0 {
			w.SetReadDeadline(time.Now().Add(limits.HeaderTimeout))
		}
		buf = buf[:len(buf)+n]
		if !maybeHTTP2 || !strings.HasPrefix(http2.ClientPreface, string(buf)) {
			w.prefix = buf
			return false, nil
		}
		if len(buf) == cap(buf) {
			return true, nil
		}
	}
}

// looksLikeHTTP recognises a method in what should have been a TLS record.
func looksLikeHTTP(header [5]byte) bool {
	switch string(header[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "PATCH", "DELET", "OPTIO", "CONNE":
		return true
	}
	return false
}

// refusePlainHTTP answers a client that forgot the s of https. It waits a
// moment for the client to close: else what it still sends would reset the
// connection before it has read the answer.
func refusePlainHTTP(raw net.Conn) {
	const body = "Client sent an HTTP request to an HTTPS server.\n"
	fmt.Fprintf(raw, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body)
	if half, ok := raw.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	raw.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	io.CopyN(io.Discard, raw, 64<<10)
}

// handle serves one request with the handler that is current for it.
func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	s.handlers.Add(1)
	defer s.handled()
	c := FromContext(r.Context())
	res := &response{ResponseWriter: w, conn: c, http1: r.ProtoMajor == 1}
	if r.Body != nil && r.Body != http.NoBody {
		res.body = newBody(r.Body, http.NewResponseController(w), s.config.Limits.IdleTimeout)
		defer res.body.finish()
		// Not in place: net/http looks at the type of its own request's body.
		copied := *r
		copied.Body = res.body
		r = &copied
	}
	handler := c.handler.Load()
	if handler == nil {
		handler = s.handler.Load()
	}
	(*handler).ServeHTTP(res, r)
	res.finish()
}

func (s *Server) handled() {
	if s.handlers.Add(-1) > 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
}
