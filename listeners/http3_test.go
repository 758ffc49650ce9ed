package listeners

import (
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

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/mcpgateway/mcpgateway/tls"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

func withHTTP3(cfg *Config) { cfg.Protocols = []string{"http/1.1", "h2", "h3"} }

// quicClient is a client of HTTP/3 on a socket of its own.
type quicClient struct {
	*http.Client
	transport *http3.Transport
	tls       *cryptotls.Config

	mu    sync.Mutex
	conns []*quic.Conn
}

func (f *fixture) quic(cfg *cryptotls.Config) *quicClient {
	return quicTo(f.t, f.socket.Addr().String(), cfg)
}

// quicTo sends every request to one address.
func quicTo(t *testing.T, addr string, cfg *cryptotls.Config) *quicClient {
	t.Helper()
	cfg.NextProtos = []string{protoHTTP3}
	c := &quicClient{tls: cfg}
	udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	transport := &quic.Transport{Conn: udp}
	c.transport = &http3.Transport{
		TLSClientConfig: cfg,
		QUICConfig:      &quic.Config{MaxIdleTimeout: 10 * time.Second},
		Dial: func(ctx context.Context, _ string, cfg *cryptotls.Config, qcfg *quic.Config) (*quic.Conn, error) {
			to, err := net.ResolveUDPAddr("udp4", addr)
			if err != nil {
				return nil, err
			}
			conn, err := transport.Dial(ctx, to, cfg, qcfg)
			if err == nil {
				c.mu.Lock()
				c.conns = append(c.conns, conn)
				c.mu.Unlock()
			}
			return conn, err
		},
	}
	c.Client = &http.Client{Transport: c.transport, Timeout: patience}
	t.Cleanup(func() {
		c.transport.Close()
		transport.Close()
		udp.Close()
	})
	return c
}

// last is the newest connection.
func (c *quicClient) last() *quic.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conns[len(c.conns)-1]
}

func (c *quicClient) dials() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.conns)
}

func (c *quicClient) get(t *testing.T, path string) string {
	t.Helper()
	res, err := c.Get("https://localhost" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestHTTP3IsServedAndAnnounced(t *testing.T) {
	f := newFixture(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		conn := FromContext(r.Context())
		if conn == nil || conn.Listener() != "public" || !conn.RemoteAddr().IsValid() || conn.TLS() == nil {
			t.Errorf("the request's connection is %+v", conn)
		}
		io.WriteString(w, r.Proto+" "+r.Method+" "+string(body))
	}, withHTTP3)
	res, err := f.client((*http.Protocols).SetHTTP2).Get("https://" + f.socket.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	_, port, _ := net.SplitHostPort(f.socket.Addr().String())
	if got := res.Header.Get("Alt-Svc"); got != `h3=":`+port+`"; ma=300` {
		t.Errorf("Alt-Svc is %q", got)
	}
	c := f.quic(f.clientTLS(nil))
	res, err = c.Post("https://localhost/", "text/plain", strings.NewReader(strings.Repeat("x", 1<<20)))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || len(body) != 1<<20+len("HTTP/3.0 POST ") || res.Header.Get("Alt-Svc") != "" {
		t.Errorf("%d bytes, %v, %v", len(body), err, res.Header)
	}
	if f.server.Stats().Connections != 2 {
		t.Errorf("%+v, want two connections", f.server.Stats())
	}
}

func TestHTTP3KnowsItsClients(t *testing.T) {
	f := newFixture(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, tls.PeerName(tls.VerifiedPeer(FromContext(r.Context()).TLS())))
	}, withHTTP3)
	clientAuth(f, tls.ClientAuthRequire)(&f.cfg)
	f.socket.Serve(f.newServer(f.server.handler.(http.HandlerFunc)))

	cert, key := f.ca.Client(t, "someone", "spiffe://td/someone")
	if got := f.quic(f.clientTLS(nil, cert, key)).get(t, "/"); got != "spiffe://td/someone" {
		t.Errorf("the client is known as %s", got)
	}
	if res, err := f.quic(f.clientTLS(nil)).Get("https://localhost/"); err == nil {
		res.Body.Close()
		t.Error("a client without a certificate got in")
	}
	cert, key = tlstest.NewCA(t, "other").Client(t, "someone")
	if res, err := f.quic(f.clientTLS(nil, cert, key)).Get("https://localhost/"); err == nil {
		res.Body.Close()
		t.Error("a client of another CA got in")
	}
}

// Keys of tickets belong to a policy, over QUIC as over TCP.
func TestQUICTicketOfAnOpenListenerDoesNotResumeOnAStrictOne(t *testing.T) {
	resumed := make(chan bool, 1)
	handler := func(w http.ResponseWriter, r *http.Request) { resumed <- FromContext(r.Context()).TLS().DidResume }
	open := newFixture(t, handler, withHTTP3)
	strict := newFixture(t, handler, withHTTP3, func(cfg *Config) { cfg.TLS = open.cfg.TLS })
	strict.ca = open.ca
	strict.cfg.TLS = &tls.ServerConfig{Certificates: open.cfg.TLS.Certificates}
	clientAuth(strict, tls.ClientAuthRequest)(&strict.cfg)
	strict.socket.Serve(strict.newServer(handler))

	cache := cryptotls.NewLRUClientSessionCache(0)
	ask := func(f *fixture) bool {
		cfg := f.clientTLS(nil)
		cfg.ClientSessionCache = &awaited{ClientSessionCache: cache, put: make(chan struct{}, 10)}
		c := f.quic(cfg)
		c.get(t, "/")
		wait(t, cfg.ClientSessionCache.(*awaited).put, "a ticket")
		return <-resumed
	}
	if ask(open); !ask(open) {
		t.Fatal("nothing was resumed; the test shows nothing")
	}
	if ask(strict) {
		t.Error("a ticket of the open listener resumed on the strict one")
	}
}

// awaited tells when a ticket came.
type awaited struct {
	cryptotls.ClientSessionCache
	put chan struct{}
}

func (a *awaited) Put(key string, state *cryptotls.ClientSessionState) {
	a.ClientSessionCache.Put(key, state)
	if state != nil {
		a.put <- struct{}{}
	}
}

// echoes sends back each line of the request at once.
func echoes(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	_ = control.EnableFullDuplex()
	_ = control.Flush()
	done := FromContext(r.Context()).Stream()
	defer done()
	buf := make([]byte, 64)
	for {
		n, err := r.Body.Read(buf)
		if n > 0 {
			_, _ = w.Write(buf[:n])
			_ = control.Flush()
		}
		if err != nil {
			return
		}
		select {
		case <-FromContext(r.Context()).Ending():
			return
		default:
		}
	}
}

// stream is a request that lasts.
type stream struct {
	t    *testing.T
	to   *io.PipeWriter
	from io.ReadCloser
}

func (c *quicClient) stream(t *testing.T) *stream {
	t.Helper()
	r, w := io.Pipe()
	client := *c.Client
	client.Timeout = 0
	res, err := client.Post("https://localhost/stream", "text/plain", r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close(); res.Body.Close() })
	return &stream{t, w, res.Body}
}

func (s *stream) works() {
	s.t.Helper()
	if _, err := s.to.Write([]byte("ping")); err != nil {
		s.t.Fatal(err)
	}
	got := make([]byte, 4)
	if _, err := io.ReadFull(s.from, got); err != nil || string(got) != "ping" {
		s.t.Fatalf("%q, %v", got, err)
	}
}

func TestHTTP3StreamSurvivesRotationAndRedefinition(t *testing.T) {
	f := newFixture(t, echoes, withHTTP3)
	c := f.quic(f.clientTLS(nil))
	s := c.stream(t)
	s.works()

	// Another certificate: the next handshake shows it, the stream goes on.
	before := c.last().ConnectionState().TLS.PeerCertificates[0]
	f.cfg.TLS.Certificates = serverTLS(f.ca, t).Certificates
	f.server.SwapTLS(f.snapshot(nil))
	next := f.quic(f.clientTLS(nil))
	other := next.stream(t)
	other.works()
	if next.last().ConnectionState().TLS.PeerCertificates[0].Equal(before) {
		t.Error("the handshake after the rotation showed the old certificate")
	}
	s.works()

	// Another definition: new connections meet it, on the same socket.
	old := f.server
	f.cfg.Limits.MaxConcurrentStreams = 7
	f.server = f.newServer(echoes)
	f.socket.Serve(f.server)
	old.quic.linger = 100 * time.Millisecond
	old.Drain(DrainOptions{Timeout: time.Minute})
	third := f.quic(f.clientTLS(nil))
	third.stream(t).works()
	if got := f.server.Stats().Connections; got != 1 {
		t.Errorf("the new server has %d connections, want 1", got)
	}
	s.works()
	other.works()

	// GOAWAY: the client comes back on a new connection, and the old ones end
	// once their streams have.
	probe := c.stream(t)
	probe.works()
	if c.dials() != 2 {
		t.Errorf("after GOAWAY the client has opened %d connections, want a second", c.dials())
	}
	s.to.Close()
	other.to.Close()
	wait(t, old.Done(), "the drained server")
	probe.works()
}

func TestHTTP3StreamsEndWithoutErrorAtTheDrainsTimeout(t *testing.T) {
	ended := make(chan struct{})
	f := newFixture(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-FromContext(r.Context()).Ending()
		io.WriteString(w, "the end")
		close(ended)
	}, withHTTP3)
	c := f.quic(f.clientTLS(nil))
	res, err := c.Get("https://localhost/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	f.server.Drain(DrainOptions{Timeout: 100 * time.Millisecond})
	body, err := io.ReadAll(res.Body)
	if err != nil || string(body) != "the end" {
		t.Errorf("%q, %v", body, err)
	}
	wait(t, ended, "the handler")
	wait(t, f.server.Done(), "the server")
}

func TestHTTP3EndsWithItsClientCertificate(t *testing.T) {
	f := newFixture(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-FromContext(r.Context()).Ending()
		io.WriteString(w, "bye")
	}, withHTTP3)
	clientAuth(f, tls.ClientAuthRequire)(&f.cfg)
	f.server = f.newServer(f.server.handler.(http.HandlerFunc))
	f.socket.Serve(f.server)
	template := tlstest.Template(t, "short")
	template.NotAfter = time.Now().Add(5 * time.Second) // cut to whole seconds
	cert, key := f.ca.Issue(t, template)
	c := f.quic(f.clientTLS(nil, cert, key))
	if got := c.get(t, "/"); got != "bye" {
		t.Errorf("got %q", got)
	}
	select {
	case <-c.last().Context().Done():
	case <-time.After(patience):
		t.Error("the connection outlived its client certificate")
	}
}

func TestHTTP3ConnectionsAreBounded(t *testing.T) {
	f := newFixture(t, echoes, withHTTP3, limits(func(l *Limits) { l.MaxConnections = 1 }))
	f.quic(f.clientTLS(nil)).stream(t).works()
	_, err := f.quic(f.clientTLS(nil)).Get("https://localhost/")
	var refused *quic.TransportError
	if !errors.As(err, &refused) || refused.ErrorCode != quic.ConnectionRefused {
		t.Errorf("one connection too many: %v", err)
	}
	if got := f.trace.reasons(); len(got) == 0 || got[0] != "max_connections" {
		t.Errorf("rejected for %v", got)
	}
}

func TestHTTP3PortIsFreeOnceItsConnectionsHaveEnded(t *testing.T) {
	f := newFixture(t, echoes, withHTTP3)
	c := f.quic(f.clientTLS(nil))
	s := c.stream(t)
	s.works()
	addr, err := net.ResolveUDPAddr("udp4", f.socket.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	f.socket.Close()
	if _, err := f.quic(f.clientTLS(nil)).Get("https://localhost/"); err == nil {
		t.Error("a new connection was let in after the socket was closed")
	}
	s.works() // and this one goes on

	// The address is taken up again while the old connection drains on it.
	again, err := f.sockets.Bind(f.socket.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.BindQUIC(); err != nil {
		t.Fatal(err)
	}
	server := f.newServer(echoes)
	again.Serve(server)
	f.quic(f.clientTLS(nil)).stream(t).works()
	s.works()
	again.Close()
	f.server.Close()
	server.Close()
	wait(t, f.server.Done(), "the old server")
	wait(t, server.Done(), "the new server")
	f.sockets.running.Wait()
	udp, err := net.ListenUDP("udp4", addr)
	if err != nil {
		t.Fatalf("the port is still taken: %v", err)
	}
	udp.Close()
}

// A request whose header never ends is none, and does not keep its connection.
func TestHTTP3HeaderThatNeverEndsIsGivenUp(t *testing.T) {
	f := newFixture(t, func(http.ResponseWriter, *http.Request) {}, withHTTP3, limits(func(l *Limits) { l.IdleTimeout = 500 * time.Millisecond }))
	c := f.quic(f.clientTLS(nil))
	c.transport.QUICConfig.KeepAlivePeriod = 100 * time.Millisecond
	c.get(t, "/")
	str, err := c.last().OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := str.Write([]byte{0x01, 0x40}); err != nil { // HEADERS, and half of its length
		t.Fatal(err)
	}
	select {
	case <-c.last().Context().Done():
	case <-time.After(patience):
		t.Error("the connection stays for a header that never ends")
	}
}
