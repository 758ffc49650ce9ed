package harness

import (
	cryptotls "crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// StrictServer is an HTTPS server that refuses every handshake without a
// client certificate of its CA, and records who came.
type StrictServer struct {
	*httptest.Server
	mu sync.Mutex
	// peers are the common names, connection by connection, in order.
	peers []string
}

// NewStrictServer starts a server at address ("127.0.0.1:0" for any port).
func NewStrictServer(t testing.TB, address string, ca, cert, key []byte, h http.Handler) *StrictServer {
	t.Helper()
	pair, err := cryptotls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := &StrictServer{Server: httptest.NewUnstartedServer(h)}
	s.Listener.Close()
	s.Listener = l
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &cryptotls.Config{
		Certificates: []cryptotls.Certificate{pair},
		ClientAuth:   cryptotls.RequireAndVerifyClientCert,
		ClientCAs:    pool,
		VerifyConnection: func(cs cryptotls.ConnectionState) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.peers = append(s.peers, cs.PeerCertificates[0].Subject.CommonName)
			return nil
		},
	}
	s.StartTLS()
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s
}

// Seen returns who connected since the last call.
func (s *StrictServer) Seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.peers
	s.peers = nil
	return p
}

// Port is where the server listens.
func (s *StrictServer) Port() string {
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	return port
}
