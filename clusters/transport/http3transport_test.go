package transport_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters/peertest"
	"github.com/mcpgateway/mcpgateway/clusters/transport"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// GOAWAY comes to connections that carry a stream, and to those that carry none:
// the latter end at once, under a call that may be about to be sent.
func TestNoCallFailsWhileHTTP3ServersShutDown(t *testing.T) {
	for _, streaming := range []bool{true, false} {
		ca := tlstest.NewCA(t, "Test CA")
		server := peertest.ServeHTTP3(t, "", ca, peertest.Everything())
		c := connect(t, http3Cluster(t, "c", server, ca))
		done := make(chan struct{})
		var answered atomic.Int64
		var work sync.WaitGroup
		for range 4 {
			work.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					res, err := c.RoundTrip(peertest.Request(t, "POST", "/", "call"))
					if err != nil {
						t.Errorf("with a stream open: %v: %v", streaming, err)
						return
					}
					if b, err := io.ReadAll(res.Body); err != nil || !strings.HasSuffix(string(b), " call") {
						t.Errorf("answered %q, %v", b, err)
					}
					res.Body.Close()
					answered.Add(1)
				}
			})
		}
		for range 10 {
			_, before := server.Connections()
			stop := func() { peertest.Fetch(t, c, "/") }
			if streaming {
				_, stop = peertest.Open(t, c)
			}
			old := server.Replace()
			var shutdown sync.WaitGroup
			shutdown.Go(func() { _ = old.Shutdown(t.Context()) })
			peertest.Eventually(t, "a new connection", func() bool { peertest.Fetch(t, c, "/"); _, all := server.Connections(); return all > before })
			stop()
			shutdown.Wait()
			// No call should meet one shutdown after the other.
			was := answered.Load()
			peertest.Eventually(t, "some more answers", func() bool { return t.Failed() || answered.Load() >= was+20 })
		}
		close(done)
		work.Wait()
	}
}

// A server that shuts down may let in one connection too many.
func TestAFirstRequestThatIsTurnedAwayIsSentOnceMore(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	server := peertest.ServeHTTP3(t, "", ca, peertest.Everything())
	server.TurnAway(1)
	c := connect(t, http3Cluster(t, "c", server, ca))
	res, err := c.RoundTrip(peertest.Request(t, "POST", "/", "call"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := peertest.Read(t, res), "HTTP/3.0 POST "+server.Addr+" / call"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, all := server.Connections(); all != 2 {
		t.Errorf("the call took %d connections, want 2", all)
	}

	stubborn := peertest.ServeHTTP3(t, "", ca, peertest.Everything())
	stubborn.TurnAway(10)
	c = connect(t, http3Cluster(t, "c", stubborn, ca))
	_, err = c.RoundTrip(peertest.Request(t, "POST", "/", "call"))
	if ce := (*transport.ConnectError)(nil); !errors.As(err, &ce) || !strings.Contains(err.Error(), "turned the request away unread") {
		t.Errorf("a server that turns everything away: %v", err)
	}
	if _, all := stubborn.Connections(); all != 2 {
		t.Errorf("it was asked on %d connections, want 2", all)
	}
}

func TestHTTP3StreamsEndAtTheClientCertificatesNotAfter(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	server := peertest.ServeHTTP3(t, "", ca, peertest.Everything())
	template := tlstest.Template(t, "brief")
	template.NotAfter = time.Now().Add(3 * time.Second)
	cert, key := ca.Issue(t, template)
	cfg := http3Cluster(t, "c", server, ca)
	cfg.TLS = peertest.KeyPair(ca, cert, key)
	c := connect(t, cfg)
	stream, stop := peertest.Open(t, c)
	defer stop()
	if _, err := io.ReadAll(stream.Body); !errors.Is(err, transport.ErrExpired) {
		t.Errorf("ended with %v", err)
	}
	peertest.Eventually(t, "all closed", func() bool { open, _ := server.Connections(); return open == 0 })
	_, err := c.RoundTrip(peertest.Request(t, "GET", "/", ""))
	if ce := (*transport.ConnectError)(nil); !errors.As(err, &ce) || !strings.Contains(err.Error(), "replace tls.client_cert") {
		t.Errorf("afterwards: %v", err)
	}
}

func TestMoreStreamsThanAQUICConnectionHoldsGetMoreConnections(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	server := peertest.ServeHTTP3(t, "", ca, peertest.Everything())
	c := connect(t, http3Cluster(t, "c", server, ca))
	for range 250 {
		_, stop := peertest.Open(t, c)
		defer stop()
	}
	if _, all := server.Connections(); all != 3 {
		t.Errorf("250 streams made %d connections", all)
	}
}

func TestLargeBodiesAndTrailersPassOverHTTP3(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	server := peertest.ServeHTTP3(t, "", ca, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Sum")
		sum := sha256.New()
		n, err := io.Copy(io.MultiWriter(w, sum), r.Body)
		w.Header().Set("Sum", fmt.Sprintf("%d %v %x %s", n, err, sum.Sum(nil), r.Trailer.Get("Last")))
	}))
	c := connect(t, http3Cluster(t, "c", server, ca))
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<20) // 16 MiB
	for _, length := range []int64{int64(len(content)), -1} {
		req := peertest.Request(t, "POST", "/", "")
		req.Body, req.GetBody, req.ContentLength = io.NopCloser(bytes.NewReader(content)), nil, length
		req.Trailer = http.Header{"Last": {"word"}}
		res, err := c.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if got := peertest.Read(t, res); got != string(content) {
			t.Errorf("%d bytes came back", len(got))
		}
		if got, want := res.Trailer.Get("Sum"), fmt.Sprintf("%d <nil> %x word", len(content), sha256.Sum256(content)); got != want {
			t.Errorf("the trailer is %q, want %q", got, want)
		}
	}
}

func TestALeftHTTP3CallResetsItsStream(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	ended := make(chan error, 1)
	server := peertest.ServeHTTP3(t, "", ca, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			return
		}
		_ = http.NewResponseController(w).Flush()
		_, err := io.Copy(io.Discard, r.Body)
		ended <- err
	}))
	c := connect(t, http3Cluster(t, "c", server, ca))
	for _, leave := range []func(*http.Response, context.CancelFunc){
		func(res *http.Response, _ context.CancelFunc) { res.Body.Close() },
		func(_ *http.Response, cancel context.CancelFunc) { cancel() },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		pr, pw := io.Pipe()
		defer pw.Close()
		req := peertest.Request(t, "POST", "/upload", "").WithContext(ctx)
		req.Body, req.GetBody, req.ContentLength = pr, nil, -1
		res, err := c.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		leave(res, cancel)
		if err := <-ended; err == nil {
			t.Error("the server saw a whole request")
		}
		res.Body.Close()
		peertest.Fetch(t, c, "/")
	}
	// One is for long bodies.
	if _, all := server.Connections(); all != 2 {
		t.Errorf("there were %d connections", all)
	}
	peertest.Eventually(t, "nothing in flight", func() bool { return c.Active() == 0 })
}

func TestRequestsThatHTTP3CannotCarryAreRefused(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	server := peertest.ServeHTTP3(t, "", ca, peertest.Everything())
	c := connect(t, http3Cluster(t, "c", server, ca))
	if _, err := c.RoundTrip(peertest.UpgradeRequest(t)); err == nil || !strings.Contains(err.Error(), "needs HTTP/1.1, and protocols of this cluster has only h3") {
		t.Errorf("an upgrade: %v", err)
	}
	for want, change := range map[string]func(*http.Request){
		"CONNECT":       func(r *http.Request) { r.Method = "CONNECT" },
		`"GET_0RTT"`:    func(r *http.Request) { r.Method = "GET_0RTT" },
		`"GE T"`:        func(r *http.Request) { r.Method = "GE T" },
		"not a host":    func(r *http.Request) { r.Host = "a b" },
		"header X-A":    func(r *http.Request) { r.Header["X-A"] = []string{"a\nb"} },
		"header name":   func(r *http.Request) { r.Header["X A"] = []string{"a"} },
		"is not a path": func(r *http.Request) { r.URL.Opaque = "//a/b" },
	} {
		req := peertest.Request(t, "GET", "/", "")
		change(req)
		if _, err := c.RoundTrip(req); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// http3 would send the body at once.
func TestAnHTTP3ServerDecidesWhetherItWantsTheBody(t *testing.T) {
	ca := tlstest.NewCA(t, "CA")
	p := peertest.ServeHTTP3(t, "", ca, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/unwanted":
			w.WriteHeader(http.StatusExpectationFailed)
			return
		case "/wanted":
			w.WriteHeader(http.StatusContinue)
		}
		_, _ = io.Copy(w, r.Body)
	}))
	c := connect(t, http3Cluster(t, "c", p, ca))
	for path, want := range map[string]int{"/unwanted": 417, "/wanted": 200, "/silent": 200} {
		body := &watched{Reader: strings.NewReader("data")}
		req := peertest.Request(t, "POST", path, "")
		req.Body, req.ContentLength = body, 4
		req.Header.Set("Expect", "100-continue")
		res, err := c.RoundTrip(req)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		text := peertest.Read(t, res)
		if res.StatusCode != want || body.read.Load() != (want == 200) || want == 200 && text != "data" {
			t.Errorf("%s: %d, %q, the body was read: %v", path, res.StatusCode, text, body.read.Load())
		}
	}
}

// watched is a body that knows whether it was read.
type watched struct {
	io.Reader
	read atomic.Bool
}

func (w *watched) Read(p []byte) (int, error) {
	w.read.Store(true)
	return w.Reader.Read(p)
}

func (*watched) Close() error { return nil }
