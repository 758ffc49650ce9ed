package clusters_test

import (
	"context"
	cryptotls "crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cluster returns a configuration with its defaults, and health checks off.
func cluster(t testing.TB, name string, endpoints ...string) clusters.Config {
	t.Helper()
	var c clusters.Config
	if err := config.Defaults(&c); err != nil {
		t.Fatal(err)
	}
	c.Name, c.Endpoints = name, endpoints
	return c
}

func checks(t testing.TB, kind string) *clusters.HealthCheck {
	t.Helper()
	h := new(clusters.HealthCheck)
	if err := config.Defaults(h); err != nil {
		t.Fatal(err)
	}
	h.Kind = kind
	return h
}

// identity is a tls block with a client certificate of ca.
func identity(t testing.TB, ca *tlstest.CA, cn string) *tls.ClientConfig {
	t.Helper()
	cert, key := ca.Client(t, cn)
	return keyPair(ca, cert, key)
}

func keyPair(ca *tlstest.CA, cert, key []byte) *tls.ClientConfig {
	c := &tls.ClientConfig{MinVersion: "1.2"}
	c.CACert = config.File{Path: "/ca.crt", Data: ca.PEM()}
	c.ClientCert = config.File{Path: "/client.crt", Data: cert}
	c.ClientKey = config.Secret{File: config.File{Path: "/client.key", Data: key}}
	return c
}

// newSet makes, commits, and at the end of the test releases a set.
func newSet(t testing.TB, opts clusters.Options, cfgs ...clusters.Config) *clusters.Set {
	t.Helper()
	s := prepare(t, nil, opts, cfgs...)
	s.Commit()
	return s
}

// prepare makes a set, which is released at the end of the test at the latest.
func prepare(t testing.TB, previous *clusters.Set, opts clusters.Options, cfgs ...clusters.Config) *clusters.Set {
	t.Helper()
	s, err := clusters.NewSet(cfgs, previous, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { release(t, s) })
	return s
}

func release(t testing.TB, s *clusters.Set) {
	s.Release()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Wait(ctx); err != nil {
		t.Error(err)
	}
}

func get(t testing.TB, s *clusters.Set, name string) *clusters.Cluster {
	t.Helper()
	c, ok := s.Get(name)
	if !ok {
		t.Fatalf("no cluster %s", name)
	}
	return c
}

func request(t testing.TB, method, path, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://ignored"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = ""
	return req
}

// fetch makes a GET and returns the body.
func fetch(t testing.TB, rt http.RoundTripper, path string) string {
	t.Helper()
	res, err := rt.RoundTrip(request(t, "GET", path, ""))
	if err != nil {
		t.Fatal(err)
	}
	return read(t, res)
}

func read(t testing.TB, res *http.Response) string {
	t.Helper()
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// eventually waits until ok, which is polled, or fails the test.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// peer is an upstream server that records its connections.
type peer struct {
	*http.Server
	addr string

	mu    sync.Mutex
	names []string // of the client certificates, one for each connection
	open  map[net.Conn]bool
	all   int
}

// serve starts a server on addr, 127.0.0.1:0 when it is "". With a CA it is a
// strict one: TLS, and no handshake without a client certificate.
func serve(t testing.TB, addr string, ca *tlstest.CA, h http.Handler) *peer {
	t.Helper()
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{addr: ln.Addr().String(), open: map[net.Conn]bool{}}
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

func (p *peer) note(c net.Conn, state http.ConnState) {
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

// connections is how many are open, and were ever.
func (p *peer) connections() (open, all int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open), p.all
}

// cut closes all connections.
func (p *peer) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		c.Close()
	}
}

func (p *peer) seen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.names...)
}

func (p *peer) port() string {
	_, port, _ := net.SplitHostPort(p.addr)
	return port
}

// echo answers with what it was asked.
func echo(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %s %s %s", r.Proto, r.Method, r.Host, r.URL.RequestURI(), b)
}

// descriptors counts this process's open files.
func descriptors(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
