package listeners

import (
	"context"
	cryptotls "crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// fixture is one listener on 127.0.0.1, over TLS unless it is told otherwise.
type fixture struct {
	t       *testing.T
	ca      *tlstest.CA
	cfg     Config
	trace   *recorder
	sockets *Sockets
	socket  *Socket
	server  *Server
}

// recorder keeps what a Trace told.
type recorder struct {
	mu         sync.Mutex
	opened     int
	rejected   []string
	badHeaders []error
	handshakes []error
	accepts    []error
}

func (r *recorder) trace() *Trace {
	note := func(f func()) {
		r.mu.Lock()
		defer r.mu.Unlock()
		f()
	}
	return &Trace{
		Opened: func(string) { note(func() { r.opened++ }) },
		Rejected: func(_, reason string, _ net.Addr, err error) {
			note(func() {
				r.rejected = append(r.rejected, reason)
				if reason == "proxy_protocol" {
					r.badHeaders = append(r.badHeaders, err)
				}
			})
		},
		Handshake: func(_ string, _ net.Addr, err error, _ time.Duration) {
			note(func() { r.handshakes = append(r.handshakes, err) })
		},
		AcceptError: func(_ string, err error) { note(func() { r.accepts = append(r.accepts, err) }) },
	}
}

func (r *recorder) reasons() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rejected
}

func listenerConfig(t *testing.T) Config {
	t.Helper()
	cfg := Config{Name: "public", Address: "127.0.0.1:0"}
	if err := config.Defaults(&cfg); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func serverTLS(ca *tlstest.CA, t *testing.T) *tls.ServerConfig {
	cert, key := ca.Server(t, "localhost", "127.0.0.1")
	return &tls.ServerConfig{Certificates: []tls.KeyPair{{
		Cert: config.File{Path: "cert", Data: cert},
		Key:  config.Secret{File: config.File{Path: "key", Data: key}},
	}}}
}

func newFixture(t *testing.T, handler http.HandlerFunc, changes ...func(*Config)) *fixture {
	t.Helper()
	f := &fixture{t: t, ca: tlstest.NewCA(t, "CA"), cfg: listenerConfig(t), trace: new(recorder)}
	f.cfg.TLS = serverTLS(f.ca, t)
	for _, change := range changes {
		change(&f.cfg)
	}
	f.sockets = NewSockets(f.trace.trace())
	socket, err := f.sockets.Bind(f.cfg.Address)
	if err != nil {
		t.Fatal(err)
	}
	f.socket = socket
	for try := 0; f.cfg.serves(protoHTTP3); try++ {
		if _, err = f.socket.BindQUIC(); err == nil {
			break
		}
		// Another process may have the port for UDP.
		f.socket.Close()
		if f.socket, err = f.sockets.Bind(f.cfg.Address); err != nil || try == 20 {
			t.Fatal(err)
		}
	}
	f.server = f.newServer(handler)
	f.socket.Serve(f.server)
	t.Cleanup(f.sockets.Close)
	return f
}

func plain(cfg *Config) { cfg.TLS = nil }

func limits(change func(*Limits)) func(*Config) {
	return func(cfg *Config) { change(&cfg.Limits) }
}

func clientAuth(f *fixture, mode tls.ClientAuthMode) func(*Config) {
	return func(cfg *Config) {
		cfg.TLS.ClientAuth = tls.ClientAuth{Mode: mode, CACert: config.File{Path: "ca", Data: f.ca.PEM()}}
	}
}

// newServer makes a server of the fixture's present configuration.
func (f *fixture) newServer(handler http.HandlerFunc) *Server {
	f.t.Helper()
	s := NewServer(&f.cfg, f.snapshot(nil), handler, f.trace.trace())
	s.grace = 200 * time.Millisecond
	f.t.Cleanup(func() {
		s.Close()
		wait(f.t, s.Done(), "the server's end")
	})
	return s
}

func (f *fixture) snapshot(previous *tls.ServerSnapshot) *tls.ServerSnapshot {
	f.t.Helper()
	if f.cfg.TLS == nil {
		return nil
	}
	snapshot, err := tls.NewServerSnapshot(f.cfg.TLS, previous, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	return snapshot
}

// dial connects, over TLS if the listener has it, with a client certificate if
// one is given.
func (f *fixture) dial(proto string, identity ...[]byte) net.Conn {
	f.t.Helper()
	conn, err := net.Dial(f.socket.Addr().Network(), f.socket.Addr().String())
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	if f.cfg.TLS == nil {
		return conn
	}
	client := cryptotls.Client(conn, f.clientTLS([]string{proto}, identity...))
	if err := client.Handshake(); err != nil {
		f.t.Fatal(err)
	}
	return client
}

func (f *fixture) clientTLS(protos []string, identity ...[]byte) *cryptotls.Config {
	cfg := &cryptotls.Config{ServerName: "localhost", RootCAs: f.ca.Pool(), NextProtos: protos}
	if len(identity) == 2 {
		cfg.Certificates = []cryptotls.Certificate{tlstest.Certificate(f.t, identity[0], identity[1])}
	}
	return cfg
}

// client is an HTTP client of the listener.
func (f *fixture) client(protocols ...func(*http.Protocols, bool)) *http.Client {
	transport := &http.Transport{
		TLSClientConfig: f.clientTLS(nil),
		Protocols:       new(http.Protocols),
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, f.socket.Addr().Network(), f.socket.Addr().String())
		},
	}
	for _, set := range protocols {
		set(transport.Protocols, true)
	}
	f.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

func (f *fixture) url(path string) string {
	if f.cfg.TLS == nil {
		return "http://localhost" + path
	}
	return "https://localhost" + path
}

// wait fails the test if the channel stays open.
func wait(t *testing.T, ch <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(patience):
		t.Fatalf("no %s after %v", what, patience)
	}
}

func isOpen(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return false
	default:
		return true
	}
}

// hello answers at once.
func hello(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello "+r.Proto) }

// streams is a handler of streams which end when they are told to, or when the
// test says so.
type streams struct {
	finish chan struct{}
	ended  chan struct{} // one for each stream that ended
}

func newStreams() *streams {
	return &streams{finish: make(chan struct{}), ended: make(chan struct{}, 100)}
}

func (s *streams) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, "/stream") {
		hello(w, r)
		return
	}
	c := FromContext(r.Context())
	defer c.Stream()()
	defer func() { s.ended <- struct{}{} }()
	w.Header().Set("Content-Type", "text/event-stream")
	http.NewResponseController(w).Flush()
	select {
	case <-s.finish:
	case <-c.Ending():
	case <-r.Context().Done():
	}
	io.WriteString(w, "data: last\n\n")
}
