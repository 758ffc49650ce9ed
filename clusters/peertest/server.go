package peertest

import (
	cryptotls "crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// Server is an upstream server of HTTP/1.1 and HTTP/2, which records its connections.
type Server struct {
	*http.Server
	Addr string // host and port

	mu    sync.Mutex
	names []string // of the client certificates, one for each connection
	open  map[net.Conn]bool
	all   int
}

// Serve starts a server on addr, 127.0.0.1:0 when it is "". With a CA it is a
// strict one: TLS, and no handshake without a client certificate.
func Serve(t testing.TB, addr string, ca *tlstest.CA, h http.Handler) *Server {
	t.Helper()
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	p := &Server{Addr: ln.Addr().String(), open: map[net.Conn]bool{}}
	p.Server = &http.Server{Handler: h, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), ConnState: p.note}
	p.Protocols = new(http.Protocols)
	p.Protocols.SetHTTP1(true)
	p.Protocols.SetHTTP2(true)
	p.Protocols.SetUnencryptedHTTP2(true)
	if ca != nil {
		cert, key := ca.Server(t, "localhost", "127.0.0.1", "::1")
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(ca.PEM())
		p.TLSConfig = &cryptotls.Config{
			Certificates: []cryptotls.Certificate{tlstest.Certificate(t, cert, key)},
			ClientAuth:   cryptotls.RequireAndVerifyClientCert,
			ClientCAs:    pool,
			NextProtos:   []string{"h2", "http/1.1"},
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
		}
		ln = cryptotls.NewListener(ln, p.TLSConfig)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = p.Serve(ln)
	}()
	t.Cleanup(func() {
		p.Close()
		<-done
	})
	return p
}

func (p *Server) note(c net.Conn, state http.ConnState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch state {
	case http.StateNew:
		p.open[c] = true
		p.all++
	case http.StateClosed, http.StateHijacked:
		delete(p.open, c)
	}
}

// Connections is how many are open, and were ever.
func (p *Server) Connections() (open, all int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open), p.all
}

// Cut closes all connections.
func (p *Server) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		c.Close()
	}
}

// Seen lists the names of the client certificates, one for each connection.
func (p *Server) Seen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.names...)
}

// Port is that of Addr.
func (p *Server) Port() string {
	_, port, _ := net.SplitHostPort(p.Addr)
	return port
}

// Echo answers with what it was asked.
func Echo(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %s %s %s", r.Proto, r.Method, r.Host, r.URL.RequestURI(), b)
}

// Everything is an upstream with a page, a stream, an upgrade, and a page that
// fails at first.
func Everything() http.Handler {
	var flaky atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("/", Echo)
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "data: 1\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("/flaky", func(w http.ResponseWriter, r *http.Request) {
		if flaky.Add(1)%2 == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/upgrade", func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer c.Close()
		fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_, _ = io.Copy(c, rw)
	})
	return mux
}
