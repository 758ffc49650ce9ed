package transport_test

import (
	"bufio"
	"cmp"
	"context"
	cryptotls "crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/mcpgateway/mcpgateway/clusters/peertest"
	"github.com/mcpgateway/mcpgateway/clusters/transport"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// accept serves connections, one goroutine each, until the test ends.
func accept(t testing.TB, serve func(n int, c net.Conn)) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	work.Go(func() {
		for n := 1; ; n++ {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			work.Go(func() {
				defer c.Close()
				serve(n, c)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		work.Wait()
	})
	return ln.Addr().String()
}

// Each connection carries one request, and closes as the second is written.
func TestIdempotentRequestsAreSentAgainWhenAKeptConnectionCloses(t *testing.T) {
	var asked atomic.Int32
	addr := accept(t, func(_ int, c net.Conn) {
		b := bufio.NewReader(c)
		for first := true; ; first = false {
			req, err := http.ReadRequest(b)
			if err != nil {
				return
			}
			body, _ := io.ReadAll(req.Body)
			asked.Add(1)
			if !first {
				return
			}
			if _, sent := req.Header["Idempotency-Key"]; sent {
				t.Error("a field of our own was sent")
			}
			res := &http.Response{StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(string(body)))}
			if res.Write(c) != nil {
				return
			}
		}
	})
	for _, tc := range []struct {
		method, body string
		again        bool
	}{{"PUT", "payload", true}, {"DELETE", "", true}, {"DELETE", "payload", true}, {"GET", "", true}, {"POST", "payload", false}, {"PATCH", "payload", false}} {
		t.Run(tc.method+" "+tc.body, func(t *testing.T) {
			e := connect(t, cluster(t, "c", "http://"+addr))
			peertest.Fetch(t, e, "/")
			asked.Store(0)
			res, err := e.RoundTrip(peertest.Request(t, tc.method, "/", tc.body))
			if !tc.again {
				if err == nil || asked.Load() != 1 {
					t.Errorf("%v after %d tries", err, asked.Load())
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := peertest.Read(t, res); got != tc.body || asked.Load() != 2 {
				t.Errorf("%q after %d tries", got, asked.Load())
			}
		})
	}
}

// refuser is an HTTP/2 server that refuses the first requests it gets, by
// GOAWAY or by REFUSED_STREAM, once it has read so many bytes of their bodies.
type refuser struct {
	goAway  bool
	spare   int32 // the first so many requests
	after   int
	refuse  int32         // so many requests
	code    http2.ErrCode // of RST_STREAM; 0: REFUSED_STREAM
	asked   atomic.Int32
	maximum atomic.Int32 // connections
}

func (r *refuser) serve(n int, c net.Conn) {
	r.maximum.Store(int32(n))
	if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	f := http2.NewFramer(c, c)
	if f.WriteSettings() != nil {
		return
	}
	refused := map[uint32]bool{}
	got := map[uint32]int{}
	body := map[uint32][]byte{}
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		id := frame.Header().StreamID
		var end bool
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				_ = f.WriteSettingsAck()
			}
			continue
		case *http2.HeadersFrame:
			n := r.asked.Add(1) - r.spare
			refused[id] = n > 0 && n <= r.refuse
			end = frame.StreamEnded()
		case *http2.DataFrame:
			got[id] += len(frame.Data())
			body[id] = append(body[id], frame.Data()...)
			if n := uint32(len(frame.Data())); n > 0 && !refused[id] {
				_ = f.WriteWindowUpdate(0, n)
				_ = f.WriteWindowUpdate(id, n)
			}
			end = frame.StreamEnded()
		default:
			continue
		}
		switch {
		case refused[id] && (got[id] >= r.after || end):
			if r.goAway {
				_ = f.WriteGoAway(max(id, 2)-2, http2.ErrCodeNo, nil)
			} else {
				_ = f.WriteRSTStream(id, cmp.Or(r.code, http2.ErrCodeRefusedStream))
			}
		case !refused[id] && end:
			var block strings.Builder
			e := hpack.NewEncoder(&block)
			_ = e.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte(block.String()), EndHeaders: true})
			for part := range slices.Chunk(body[id], 16<<10) {
				_ = f.WriteData(id, false, part)
			}
			_ = f.WriteData(id, true, nil)
		}
	}
}

// kept is a body that is recorded, as a request body of any length is.
func kept(t testing.TB, body string) *http.Request {
	req := peertest.Request(t, "POST", "/", body)
	req.ContentLength = -1
	return req
}

func TestARefusedRequestIsSentOnAnotherConnection(t *testing.T) {
	for _, goAway := range []bool{true, false} {
		for _, body := range []string{"", strings.Repeat("payload ", 5000)} {
			r := &refuser{goAway: goAway, after: len(body), refuse: 2}
			addr := accept(t, r.serve)
			cfg := cluster(t, "c", "http://"+addr)
			cfg.Protocols = []string{"h2"}
			e := connect(t, cfg)
			req := kept(t, body)
			if body == "" {
				req = peertest.Request(t, "GET", "/", "")
			}
			res, err := e.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			if got := peertest.Read(t, res); got != body {
				t.Errorf("%d bytes arrived of %d", len(got), len(body))
			}
			// net/http may make a connection more: it offers one on which GOAWAY has
			// come to the next try, which has begun to dial.
			if n := r.maximum.Load(); r.asked.Load() != 3 || n < 3 && (goAway || body != "") {
				t.Errorf("asked %d times on %d connections", r.asked.Load(), n)
			}
		}
	}
}

func TestAServerThatAlwaysRefusesIsAskedThreeTimes(t *testing.T) {
	for _, body := range []string{"", "payload"} {
		r := &refuser{refuse: 1 << 30}
		addr := accept(t, r.serve)
		cfg := cluster(t, "c", "http://"+addr)
		cfg.Protocols = []string{"h2"}
		e := connect(t, cfg)
		req := kept(t, body)
		if body == "" {
			req = peertest.Request(t, "GET", "/", "")
		}
		_, err := e.RoundTrip(req)
		ce := (*transport.ConnectError)(nil)
		if !errors.As(err, &ce) && !errors.Is(err, transport.ErrRefused) || errors.Is(err, context.Canceled) {
			t.Errorf("%q: %v", body, err)
		}
		if n := r.asked.Load(); n != 3 {
			t.Errorf("%q: asked %d times", body, n)
		}
	}
}

// A server may have acted on a request before it ends the stream, whatever it
// says by that: only REFUSED_STREAM and GOAWAY say that it has not (RFC 9113,
// section 8.7).
func TestARequestWhoseStreamTheServerEndsIsNotSentAgain(t *testing.T) {
	ca := tlstest.NewCA(t, "CA")
	cert, key := ca.Server(t, "localhost", "127.0.0.1")
	secure := &cryptotls.Config{Certificates: []cryptotls.Certificate{tlstest.Certificate(t, cert, key)}, NextProtos: []string{"h2"}}
	for _, code := range []http2.ErrCode{http2.ErrCodeProtocol, http2.ErrCodeInternal, http2.ErrCodeCancel, http2.ErrCodeRefusedStream} {
		for _, overTLS := range []bool{false, true} {
			r := &refuser{refuse: 1 << 30, code: code, after: len("payload"), spare: 1}
			addr := accept(t, func(n int, c net.Conn) {
				if overTLS {
					c = cryptotls.Server(c, secure)
				}
				r.serve(n, c)
			})
			cfg := cluster(t, "c", "http://"+addr)
			if cfg.Protocols = []string{"h2"}; overTLS {
				cfg = cluster(t, "c", "https://"+addr) // may speak HTTP/1.1, too
				cfg.TLS = peertest.Identity(t, ca, "client")
			}
			e := connect(t, cfg)
			peertest.Fetch(t, e, "/")
			_, err := e.RoundTrip(peertest.Request(t, "POST", "/", "payload"))
			unread, tries := code == http2.ErrCodeRefusedStream, int32(1)
			if unread {
				tries = 3
			}
			ce := (*transport.ConnectError)(nil)
			if n := r.asked.Load() - 1; err == nil || errors.As(err, &ce) != unread || n != tries {
				t.Errorf("%v over TLS %v: asked %d times: %v", code, overTLS, n, err)
			}
		}
	}
}

// net/http sends a request without body again, whatever its method, and any at
// all whose protocol was not known when it began.
func TestAPostWithoutBodyOrBeforeAllOthersIsNotSentAgain(t *testing.T) {
	ca := tlstest.NewCA(t, "CA")
	cert, key := ca.Server(t, "localhost", "127.0.0.1")
	secure := &cryptotls.Config{Certificates: []cryptotls.Certificate{tlstest.Certificate(t, cert, key)}, NextProtos: []string{"h2"}}
	for _, code := range []http2.ErrCode{http2.ErrCodeProtocol, http2.ErrCodeRefusedStream} {
		for _, body := range []string{"", "payload"} {
			for _, first := range []bool{true, false} {
				r := &refuser{refuse: 1, code: code, after: len(body)}
				if !first {
					r.spare = 1
				}
				addr := accept(t, func(n int, c net.Conn) { r.serve(n, cryptotls.Server(c, secure)) })
				cfg := cluster(t, "c", "https://"+addr) // may speak HTTP/1.1, too
				cfg.TLS = peertest.Identity(t, ca, "client")
				e := connect(t, cfg)
				if !first {
					peertest.Fetch(t, e, "/")
				}
				res, err := e.RoundTrip(peertest.Request(t, "POST", "/", body))
				if err == nil {
					if got := peertest.Read(t, res); got != body {
						t.Errorf("%q came back for %q", got, body)
					}
				}
				n := r.asked.Load() - r.spare
				if code == http2.ErrCodeProtocol && (err == nil || n != 1) || code == http2.ErrCodeRefusedStream && !first && (err != nil || n != 2) || n > 2 {
					t.Errorf("%v, body %q, first %v: asked %d times: %v", code, body, first, n, err)
				}
			}
		}
	}
}

// net/http puts a connection among the idle ones before the request that it
// answered has left it. One that is cancelled in this moment closes the connection
// under the next request, which then fails with the cause of the first.
func TestARequestDoesNotFailByTheEndOfTheOneBefore(t *testing.T) {
	for name, written := range map[string]bool{"before it is written": false, "after": true} {
		t.Run(name, func(t *testing.T) {
			served := make(chan string, 10)
			hold := make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				served <- r.URL.Path
				if written && r.URL.Path == "/second" {
					<-hold
				}
			}))
			t.Cleanup(server.Close)
			pool := connect(t, cluster(t, "kept", server.URL))
			post := func(ctx context.Context, path string) error {
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+path, strings.NewReader("{}"))
				if err != nil {
					return err
				}
				res, err := pool.RoundTrip(req)
				if err == nil {
					res.Body.Close()
				}
				return err
			}
			first, cancel := context.WithCancelCause(t.Context())
			gone := errors.New("the client of the first has gone")
			firstOver, left := make(chan struct{}), make(chan struct{})
			second := make(chan error, 1)
			idle := func(error) {
				defer close(left)
				taken := make(chan struct{})
				go func() {
					took := sync.OnceFunc(func() {
						close(taken)
						if !written {
							<-left
						}
					})
					trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { took() }}
					second <- post(httptrace.WithClientTrace(t.Context(), trace), "/second")
				}()
				<-taken
				if written {
					for path := range served {
						if path == "/second" {
							break
						}
					}
				}
				cancel(gone)
				select {
				case <-firstOver: // it has closed the connection
				case <-time.After(100 * time.Millisecond): // it waits for its answer
				}
			}
			ctx := httptrace.WithClientTrace(first, &httptrace.ClientTrace{PutIdleConn: idle})
			if err := post(ctx, "/first"); err != nil && !errors.Is(err, gone) {
				t.Errorf("the first: %v", err)
			}
			close(firstOver)
			close(hold)
			if err := <-second; err != nil {
				t.Errorf("the second: %v", err)
			}
		})
	}
}

// Who gives up a request that waits on a kept connection costs that connection, and
// has nothing sent again.
func TestARequestThatIsGivenUpIsNotSentAgain(t *testing.T) {
	var asked, dialed atomic.Int32
	began := make(chan struct{}, 10)
	over := make(chan struct{})
	var together sync.WaitGroup
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/warm" {
			together.Done()
			together.Wait()
			return
		}
		asked.Add(1)
		began <- struct{}{}
		<-over
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			dialed.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	defer close(over)
	pool := connect(t, cluster(t, "kept", server.URL))
	warm := func(n int) {
		together.Add(n)
		var asking sync.WaitGroup
		for range n {
			asking.Go(func() {
				req, _ := http.NewRequest(http.MethodGet, server.URL+"/warm", nil)
				res, err := pool.RoundTrip(req)
				if err != nil {
					t.Error(err)
					together.Done()
					return
				}
				res.Body.Close()
			})
		}
		asking.Wait()
	}
	warm(3)
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/hang", nil)
	go func() {
		<-began
		cancel()
	}()
	if _, err := pool.RoundTrip(req); !errors.Is(err, context.Canceled) {
		t.Errorf("a GET that was cancelled: %v", err)
	}
	req, _ = http.NewRequest(http.MethodPut, server.URL+"/hang", strings.NewReader("{}"))
	if _, err := pool.Send(req, 50*time.Millisecond); !errors.Is(err, transport.ErrTryTimeout) {
		t.Errorf("a PUT without an answer in time: %v", err)
	}
	warm(1)
	if n := dialed.Load(); n != 3 {
		t.Errorf("%d connections were made, want 3", n)
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("the server was asked %d times, want 2", n)
	}
}
