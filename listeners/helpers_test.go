package listeners

import (
	"bufio"
	"context"
	cryptotls "crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

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
	mu             sync.Mutex
	opened, closed int
	rejected       []string
	handshakes     []error
	accepts        []error
}

func (r *recorder) trace() *Trace {
	note := func(f func()) {
		r.mu.Lock()
		defer r.mu.Unlock()
		f()
	}
	return &Trace{
		Opened:   func(string) { note(func() { r.opened++ }) },
		Closed:   func(string) { note(func() { r.closed++ }) },
		Rejected: func(_, reason string, _ net.Addr) { note(func() { r.rejected = append(r.rejected, reason) }) },
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
	snapshot, err := tls.NewServerSnapshot(f.cfg.TLS, previous)
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

// h1 is an HTTP/1.1 connection, spoken by hand.
type h1 struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func (f *fixture) h1(identity ...[]byte) *h1 {
	conn := f.dial("http/1.1", identity...)
	return &h1{Conn: conn, t: f.t, r: bufio.NewReader(conn)}
}

func (c *h1) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, text); err != nil {
		c.t.Fatal(err)
	}
}

func (c *h1) get(path string) { c.send("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n") }

// header reads the header of an answer.
func (c *h1) header() *http.Response {
	c.t.Helper()
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return res
}

// answer reads a whole answer.
func (c *h1) answer() *http.Response {
	c.t.Helper()
	res := c.header()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		c.t.Fatal(err)
	}
	return res
}

// ended waits for the server to close in order.
func (c *h1) ended() {
	c.t.Helper()
	if _, err := c.r.ReadByte(); !errors.Is(err, io.EOF) {
		c.t.Errorf("reading at the end: %v, want EOF", err)
	}
}

// h2 is an HTTP/2 connection, spoken by hand.
type h2 struct {
	net.Conn
	t      *testing.T
	framer *http2.Framer
	next   uint32
}

func (f *fixture) h2(identity ...[]byte) *h2 {
	f.t.Helper()
	conn := f.dial("h2", identity...)
	c := &h2{Conn: conn, t: f.t, framer: http2.NewFramer(conn, conn), next: 1}
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		f.t.Fatal(err)
	}
	c.check(c.framer.WriteSettings())
	return c
}

func (c *h2) check(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// get opens a stream.
func (c *h2) get(path string) (stream uint32) {
	c.t.Helper()
	var block strings.Builder
	encoder := hpack.NewEncoder(&block)
	for _, field := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "localhost"}, {":path", path}} {
		c.check(encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}))
	}
	stream = c.next
	c.next += 2
	c.check(c.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: stream, BlockFragment: []byte(block.String()), EndStream: true, EndHeaders: true,
	}))
	return stream
}

// until reads frames up to the first that satisfies f.
func (c *h2) until(what string, f func(http2.Frame) bool) {
	c.t.Helper()
	for {
		frame, err := c.framer.ReadFrame()
		if err != nil {
			c.t.Fatalf("waiting for %s: %v", what, err)
		}
		if f(frame) {
			return
		}
	}
}

func (c *h2) untilHeaders(stream uint32) {
	c.t.Helper()
	c.until("an answer's header", func(frame http2.Frame) bool {
		headers, ok := frame.(*http2.MetaHeadersFrame)
		return ok && headers.StreamID == stream
	})
}

func (c *h2) untilEnd(stream uint32) {
	c.t.Helper()
	c.until("the end of a stream", func(frame http2.Frame) bool {
		switch frame := frame.(type) {
		case *http2.DataFrame:
			return frame.StreamID == stream && frame.StreamEnded()
		case *http2.MetaHeadersFrame:
			return frame.StreamID == stream && frame.StreamEnded()
		case *http2.RSTStreamFrame:
			c.t.Fatalf("stream %d was reset: %v", frame.StreamID, frame.ErrCode)
		}
		return false
	})
}

func (c *h2) untilGoAway() {
	c.t.Helper()
	c.until("GOAWAY", func(frame http2.Frame) bool {
		goAway, ok := frame.(*http2.GoAwayFrame)
		if ok && goAway.ErrCode != http2.ErrCodeNo {
			c.t.Errorf("GOAWAY with %v", goAway.ErrCode)
		}
		return ok
	})
}

func (c *h2) ended() {
	c.t.Helper()
	for {
		if _, err := c.framer.ReadFrame(); err != nil {
			if !errors.Is(err, io.EOF) {
				c.t.Errorf("reading at the end: %v, want EOF", err)
			}
			return
		}
	}
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

// eventually polls until f holds.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !f() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		<-time.After(2 * time.Millisecond)
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
