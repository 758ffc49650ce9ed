package listeners

import (
	"context"
	cryptotls "crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/mcpgateway/mcpgateway/tls"
)

// The protocols, by their ALPN names, which the configuration uses, too.
const (
	protoHTTP1 = "http/1.1"
	protoHTTP2 = "h2"
	protoHTTP3 = "h3"
)

// serve brings a connection through its handshake to the http.Server of its
// protocol, which has a goroutine of its own for it.
func (s *Server) serve(c *Conn) {
	if err := s.readProxyHeader(c); err != nil {
		reason := "proxy_protocol"
		switch {
		case errors.Is(err, errPerAddress):
			reason, err = perAddress, nil
		case errors.Is(err, errNoByte):
			err = nil
		}
		s.trace.rejected(s.config.Name, reason, c.raw.RemoteAddr(), err)
		c.raw.Close()
		s.remove(c)
		return
	}
	socket := &slowPeer{Conn: c.raw, conn: c}
	c.httpConn = &httpConn{Conn: socket, conn: c}
	if s.tls != nil {
		if !s.handshake(c, socket) {
			c.raw.Close()
			s.remove(c)
			return
		}
	}
	c.setPhase(phaseIdle)
	switch proto, refusal := s.protocol(c); {
	case refusal != "":
		s.trace.rejected(s.config.Name, refusal, c.raw.RemoteAddr(), nil)
		fallthrough
	case proto == "":
		_ = c.httpConn.Close()
		s.remove(c)
	case proto == protoHTTP2:
		s.serveHTTP2(c)
	default:
		s.http1.serve(c)
	}
}

// handshake speaks TLS. The peer is authorised in it, by the snapshot that was
// current when it began.
func (s *Server) handshake(c *Conn, socket *slowPeer) bool {
	s.handshakes.Add(1)
	defer s.handshakes.Add(-1)
	began, before := time.Now(), s.tls.Snapshot()
	c.raw.SetDeadline(began.Add(s.config.Limits.HeaderTimeout))
	conn := cryptotls.Server(socket, s.tlsConfig)
	err := conn.Handshake()
	if err == nil {
		cs := conn.ConnectionState()
		c.handshaken(&cs)
		// A snapshot that came meanwhile has looked over the open connections,
		// and did not find this one among them.
		if now := s.tls.Snapshot(); now != before && cs.NegotiatedProtocol != tls.ALPNChallenge {
			err = now.Verify(cs)
		}
	}
	var notTLS cryptotls.RecordHeaderError
	if errors.As(err, &notTLS) && notTLS.Conn != nil && looksLikeHTTP(notTLS.RecordHeader) {
		err = errors.New("the client sent plain HTTP to a TLS port")
		if answerRaw(c.raw, http.StatusBadRequest, "text/plain; charset=utf-8", "Client sent an HTTP request to an HTTPS server.\n") == nil {
			awaitClose(c.raw)
		}
	}
	s.trace.handshake(s.config.Name, c.raw.RemoteAddr(), err, time.Since(began))
	if err != nil {
		return false
	}
	c.raw.SetDeadline(time.Time{})
	c.httpConn.Conn = conn
	return true
}

// protocol finds out what is spoken: by ALPN, else by the client's first bytes,
// for which it waits as for any next request. Both results are empty when the
// client went away without a word.
func (s *Server) protocol(c *Conn) (proto, refusal string) {
	cs := c.TLS()
	if cs != nil {
		switch cs.NegotiatedProtocol {
		case protoHTTP2:
			return protoHTTP2, ""
		case tls.ALPNChallenge:
			return "", "" // the handshake was the answer
		}
	}
	if cs != nil && !s.config.serves(protoHTTP1) {
		return "", "no_application_protocol"
	}
	isHTTP2, err := c.httpConn.readPreface(cs == nil && s.config.serves(protoHTTP2))
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

// looksLikeHTTP recognises a method in what should have been a TLS record.
func looksLikeHTTP(header [5]byte) bool {
	switch string(header[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "PATCH", "DELET", "OPTIO", "CONNE":
		return true
	}
	return false
}

// newHTTPServer is what the http.Servers of all connections have in common.
func (s *Server) newHTTPServer(protocol func(*http.Protocols, bool)) *http.Server {
	hs := &http.Server{
		Handler:        http.HandlerFunc(s.handle),
		IdleTimeout:    s.config.Limits.IdleTimeout,
		MaxHeaderBytes: int(s.config.Limits.MaxHeaderBytes),
		Protocols:      new(http.Protocols),
		ErrorLog:       s.errorLog,
		// "OPTIONS *" is for the handler, which logs it.
		DisableGeneralOptionsHandler: true,
		ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
			return context.WithValue(ctx, contextKey{}, httpConnOf(nc).conn)
		},
	}
	protocol(hs.Protocols, true)
	return hs
}

// handle serves one request.
func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	s.handlers.Add(1)
	defer s.handled()
	c := FromContext(r.Context())
	if r.ProtoMajor == 3 {
		defer c.request()()
	}
	res := &response{ResponseWriter: w, conn: c, version: r.ProtoMajor, host: r.Host}
	defer res.over()
	if r.ProtoMajor == 2 && s.config.Limits.headerTooLong(r) {
		s.trace.error(s.config.Name, fmt.Sprintf("%s was refused: its header is longer than max_header_bytes", c.peer))
		res.refuse(refusedHeader)
		return
	}
	if r.Body != nil && r.Body != http.NoBody {
		// Not in place: net/http looks at the type of its own request's body.
		copied := *r
		if res.version == 3 {
			copied.Body, copied.ContentLength = res.upload(r)
		}
		if res.version == 2 && wantedFirst(r.Body) {
			// The upstream is to decide, as it does for the other versions.
			r.Header["Expect"] = []string{"100-continue"}
		}
		if res.version > 1 {
			res.holdToLength(&copied)
		}
		if r = &copied; r.Body != http.NoBody {
			res.body = newBody(r.Body, http.NewResponseController(w), s.config.Limits.IdleTimeout)
			res.body.unasked.Store(expects100(r))
			res.body.reserve(s.memory, &copied)
			defer res.body.finish()
			r.Body = res.body
		}
	}
	cost, err := c.crowd.enter(s.memory, r)
	if err != nil {
		if res.body != nil {
			res.body.refused = err
		}
		res.refuse(refusedMemory)
		return
	}
	defer c.crowd.leave(cost)
	if c.expired() {
		c.evict()
		res.refuse(refusedExpired)
		return
	}
	if res.body != nil && res.body.refused != nil && webSocketOf(r) {
		res.refuse(refusedMemory)
		return
	}
	if webSocketOf(r) {
		u := &streamUpgrade{response: res, request: r}
		u.serve(s.handler)
		return
	}
	s.handler.ServeHTTP(res, r)
	res.finish()
}
