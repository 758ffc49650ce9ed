package peertest

import (
	"context"
	cryptotls "crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// HTTP3Server is a strict HTTP/3 server: no handshake without a client certificate.
type HTTP3Server struct {
	Addr    string // host and port
	Socket  *net.UDPConn
	End     func() // ends the server, and all on it
	handler http.Handler

	mu     sync.Mutex
	server *http3.Server // of new connections
	away   int           // so many of which it turns away, unread, what is asked
	names  []string      // of the client certificates, one for each connection
	open   int
	all    int
}

// ServeHTTP3 starts a server on addr, 127.0.0.1:0 when it is "".
func ServeHTTP3(t testing.TB, addr string, ca *tlstest.CA, h http.Handler, alpn ...string) *HTTP3Server {
	t.Helper()
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	if alpn == nil {
		alpn = []string{http3.NextProtoH3}
	}
	udp, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	socket, err := net.ListenUDP("udp", udp)
	if err != nil {
		t.Fatal(err)
	}
	p := &HTTP3Server{Addr: socket.LocalAddr().String(), Socket: socket, handler: h}
	cert, key := ca.Server(t, "localhost", "127.0.0.1", "::1")
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca.PEM())
	transport := &quic.Transport{Conn: socket}
	listener, err := transport.ListenEarly(&cryptotls.Config{
		Certificates: []cryptotls.Certificate{tlstest.Certificate(t, cert, key)},
		ClientAuth:   cryptotls.RequireAndVerifyClientCert,
		ClientCAs:    pool,
		NextProtos:   alpn,
		VerifyConnection: func(cs cryptotls.ConnectionState) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			name := cs.PeerCertificates[0].Subject.CommonName
			if cs.DidResume {
				name += " resumed"
			}
			p.names = append(p.names, name)
			return nil
		},
	}, &quic.Config{MaxIncomingStreams: 100})
	if err != nil {
		t.Fatal(err)
	}
	p.Replace()
	var work sync.WaitGroup
	work.Go(func() {
		for {
			c, err := listener.Accept(context.Background())
			if err != nil {
				return
			}
			work.Go(func() { p.serve(c) })
		}
	})
	p.End = sync.OnceFunc(func() {
		p.Current().Close()
		listener.Close()
		transport.Close()
		socket.Close()
		work.Wait()
	})
	t.Cleanup(p.End)
	return p
}

func (p *HTTP3Server) serve(c *quic.Conn) {
	select {
	case <-c.HandshakeComplete():
	case <-c.Context().Done():
		return
	}
	p.mu.Lock()
	p.open++
	p.all++
	server, away := p.server, p.away > 0
	if away {
		p.away--
	}
	p.mu.Unlock()
	if away {
		reject(c)
	} else {
		_ = server.ServeQUICConn(c)
	}
	<-c.Context().Done()
	p.mu.Lock()
	p.open--
	p.mu.Unlock()
}

// reject turns away every request of a connection (RFC 9114, section 4.1.1).
func reject(c *quic.Conn) {
	for {
		s, err := c.AcceptStream(context.Background())
		if err != nil {
			return
		}
		s.CancelRead(quic.StreamErrorCode(http3.ErrCodeRequestRejected))
		s.CancelWrite(quic.StreamErrorCode(http3.ErrCodeRequestRejected))
	}
}

// TurnAway turns away what is asked on the next n connections.
func (p *HTTP3Server) TurnAway(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = n
}

// Replace puts another server behind the port, and returns the one before.
func (p *HTTP3Server) Replace() *http3.Server {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.server
	p.server = &http3.Server{Handler: p.handler}
	return old
}

// Current is the server of new connections.
func (p *HTTP3Server) Current() *http3.Server {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.server
}

// Connections is how many are open, and were ever.
func (p *HTTP3Server) Connections() (open, all int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open, p.all
}

// Seen lists the names of the client certificates, one for each connection.
func (p *HTTP3Server) Seen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.names...)
}
