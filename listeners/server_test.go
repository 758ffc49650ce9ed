package listeners

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/tls"
)

func TestEachProtocolIsServedOnTLSAndOnPlainText(t *testing.T) {
	for _, c := range []struct {
		name     string
		plain    bool
		offered  []string
		protocol func(*http.Protocols, bool)
		want     string // empty: refused
	}{
		{"h1 over TLS", false, []string{"http/1.1", "h2"}, (*http.Protocols).SetHTTP1, "hello HTTP/1.1"},
		{"h2 over TLS", false, []string{"http/1.1", "h2"}, (*http.Protocols).SetHTTP2, "hello HTTP/2.0"},
		{"h1 on plain text", true, []string{"http/1.1", "h2"}, (*http.Protocols).SetHTTP1, "hello HTTP/1.1"},
		{"h2 on plain text", true, []string{"http/1.1", "h2"}, (*http.Protocols).SetUnencryptedHTTP2, "hello HTTP/2.0"},
		{"h1 alone over TLS", false, []string{"http/1.1"}, (*http.Protocols).SetHTTP2, ""},
		{"h2 alone over TLS", false, []string{"h2"}, (*http.Protocols).SetHTTP1, ""},
		{"h1 alone on plain text", true, []string{"http/1.1"}, (*http.Protocols).SetUnencryptedHTTP2, ""},
		{"h2 alone on plain text", true, []string{"h2"}, (*http.Protocols).SetHTTP1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, hello, func(cfg *Config) {
				cfg.Protocols = c.offered
				if c.plain {
					cfg.TLS = nil
				}
			})
			client := f.client(c.protocol)
			for range 2 {
				res, err := client.Get(f.url("/"))
				if c.want == "" {
					if err == nil {
						res.Body.Close()
						t.Errorf("got %s, want a refusal", res.Status)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(res.Body)
				res.Body.Close()
				if string(body) != c.want {
					t.Errorf("got %q, want %q", body, c.want)
				}
			}
			if n := f.server.Stats().Connections; n != 1 {
				t.Errorf("%d connections were used for two requests", n)
			}
		})
	}
}

func TestPlainHTTPOnATLSPortIsTold(t *testing.T) {
	f := newFixture(t, hello)
	conn, err := net.Dial("tcp", f.socket.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(conn)
	if !strings.HasPrefix(string(answer), "HTTP/1.1 400") || !strings.Contains(string(answer), "HTTPS server") {
		t.Errorf("got %q", answer)
	}
}

func TestFailedClientAuthenticationIsTraced(t *testing.T) {
	f := newFixture(t, hello)
	clientAuth(f, tls.ClientAuthRequire)(&f.cfg)
	f.socket.Serve(f.newServer(hello))
	if res, err := f.client((*http.Protocols).SetHTTP1).Get(f.url("/")); err == nil {
		res.Body.Close()
		t.Fatal("a client without certificate was served")
	}
	testkit.Eventually(t, "the handshake is traced", func() bool {
		f.trace.mu.Lock()
		defer f.trace.mu.Unlock()
		return len(f.trace.handshakes) == 1 && f.trace.handshakes[0] != nil &&
			strings.Contains(f.trace.handshakes[0].Error(), "certificate")
	})
}

func TestRequestKnowsItsConnection(t *testing.T) {
	var problems []error
	f := newFixture(t, func(w http.ResponseWriter, r *http.Request) {
		c := FromContext(r.Context())
		if c.Listener() != "public" || !c.RemoteAddr().IsValid() || c.LocalAddr().Port() == 0 {
			problems = append(problems, fmt.Errorf("connection %s from %v to %v", c.Listener(), c.RemoteAddr(), c.LocalAddr()))
		}
		if c.TLS() == nil || r.TLS == nil || tls.VerifiedPeer(c.TLS()) == nil || tls.VerifiedPeer(r.TLS) == nil {
			problems = append(problems, errors.New("the TLS peer is missing"))
		}
	})
	clientAuth(f, tls.ClientAuthRequire)(&f.cfg)
	f.server.SwapTLS(f.snapshot(nil))
	cert, key := f.ca.Client(t, "client")
	one := f.h1(cert, key)
	one.get("/")
	one.answer()
	two := f.h2(cert, key)
	two.untilEnd(two.get("/"))
	if len(problems) > 0 {
		t.Error(errors.Join(problems...))
	}
}

func TestCertificateSwapLeavesOpenConnectionsAlone(t *testing.T) {
	f := newFixture(t, hello)
	one, two := f.h1(), f.h2()
	one.get("/")
	one.answer()
	two.untilEnd(two.get("/"))

	f.cfg.TLS = serverTLS(f.ca, t)
	snapshot := f.snapshot(nil)
	f.server.SwapTLS(snapshot)
	if n := len(f.server.Unverified(snapshot)); n != 0 {
		t.Errorf("%d connections are unverified", n)
	}
	one.get("/")
	if one.answer().Close {
		t.Error("the HTTP/1.1 connection was told to go")
	}
	two.untilEnd(two.get("/"))
	if n := f.server.Stats().Connections; n != 2 {
		t.Errorf("%d connections are left", n)
	}
}

func TestConnectionsThatNoLongerVerifyAreFoundAndRetired(t *testing.T) {
	f := newFixture(t, hello)
	clientAuth(f, tls.ClientAuthRequire)(&f.cfg)
	f.server.SwapTLS(f.snapshot(nil))
	good, goodKey := f.ca.Client(t, "good", "spiffe://td/good")
	bad, badKey := f.ca.Client(t, "bad", "spiffe://td/bad")
	stays, leaves, goes := f.h1(good, goodKey), f.h1(bad, badKey), f.h2(bad, badKey)
	for _, c := range []*h1{stays, leaves} {
		c.get("/")
		c.answer()
	}
	goes.untilEnd(goes.get("/"))

	f.cfg.TLS.ClientAuth.AllowedNames = []string{"spiffe://td/good"}
	snapshot := f.snapshot(f.server.tls.Snapshot())
	f.server.SwapTLS(snapshot)
	unverified := f.server.Unverified(snapshot)
	if len(unverified) != 2 {
		t.Fatalf("%d connections are unverified, want 2", len(unverified))
	}
	f.server.Retire(unverified, 10*time.Millisecond)
	leaves.ended()
	goes.untilGoAway()
	goes.ended()
	stays.get("/")
	if stays.answer().Close {
		t.Error("the verified connection was told to go")
	}
}

// An answer that goes on and on, such as a gRPC stream, is not told to end. Its
// client would keep it for as long as it likes.
func TestARetiredPeerKeepsNoAnswerForEver(t *testing.T) {
	for _, proto := range []string{"http/1.1", "h2", "h3"} {
		t.Run(proto, func(t *testing.T) {
			handlerEnds := make(chan struct{})
			f := newFixture(t, func(w http.ResponseWriter, r *http.Request) {
				defer close(handlerEnds)
				for tick := time.Tick(10 * time.Millisecond); ; {
					if _, err := io.WriteString(w, "more\n"); err != nil {
						return
					}
					_ = http.NewResponseController(w).Flush()
					select {
					case <-tick:
					case <-r.Context().Done():
						return
					}
				}
			}, withHTTP3)
			f.server.grace = 50 * time.Millisecond
			var client *http.Client
			switch proto {
			case "http/1.1":
				client = f.client((*http.Protocols).SetHTTP1)
			case "h2":
				client = f.client((*http.Protocols).SetHTTP2)
			case "h3":
				client = f.quic(f.clientTLS(nil)).Client
			}
			res, err := client.Get(f.url("/"))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			f.server.Retire(f.server.open(), 10*time.Millisecond)
			switch _, err := io.Copy(io.Discard, res.Body); {
			case err == nil:
				t.Error("the answer ended as if it were whole")
			case os.IsTimeout(err):
				t.Error("the answer went on until the client had enough")
			}
			wait(t, handlerEnds, "end of the handler")
		})
	}
}

func TestLimits(t *testing.T) {
	t.Run("max_connections", func(t *testing.T) {
		f := newFixture(t, hello, plain, limits(func(l *Limits) { l.MaxConnections = 2 }))
		first, second := f.h1(), f.h1()
		for _, c := range []*h1{first, second} {
			c.get("/")
			c.answer()
		}
		// A new definition does not double the limit.
		f.socket.Serve(f.newServer(hello))
		third := f.h1()
		third.ended()
		if reasons := f.trace.reasons(); !slices.Equal(reasons, []string{"max_connections"}) {
			t.Errorf("rejected for %v", reasons)
		}
		first.Close()
		testkit.Eventually(t, "the place is free again", func() bool { return f.socket.places.open.Load() == 1 })
		fourth := f.h1()
		fourth.get("/")
		fourth.answer()
	})
	t.Run("max_header_bytes", func(t *testing.T) {
		f := newFixture(t, hello, plain, limits(func(l *Limits) { l.MaxHeaderBytes = 4 << 10 }))
		c := f.h1()
		c.send("GET / HTTP/1.1\r\nHost: localhost\r\nX-Large: " + strings.Repeat("x", 64<<10) + "\r\n\r\n")
		if res := c.header(); res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("got %s, want 431", res.Status)
		}
	})
	t.Run("max_header_bytes of HTTP/2", func(t *testing.T) {
		for _, change := range []func(*Config){plain, func(*Config) {}} {
			f := newFixture(t, hello, change, limits(func(l *Limits) { l.MaxHeaderBytes = 4 << 10 }))
			c := f.h2()
			for length, want := range map[int]string{100: "200", 4000: "200", 5 << 10: "431", 8 << 10: "431", 15 << 10: "431"} {
				if got := c.untilHeaders(c.get("/" + strings.Repeat("x", length))); got != want {
					t.Errorf("%d bytes: %s, want %s", length, got, want)
				}
			}
			c.untilHeaders(c.get("/")) // and the connection goes on
		}
	})
	t.Run("max_header_bytes of HTTP/3", func(t *testing.T) {
		f := newFixture(t, hello, withHTTP3, limits(func(l *Limits) { l.MaxHeaderBytes = 4 << 10 }))
		c := f.quic(f.clientTLS(nil))
		c.get(t, "/first")
		for length, want := range map[int]string{100: "200", 5 << 10: "431", 64 << 10: "431"} {
			got := rawStream(t, c.last(), http3Headers(":method", "GET", ":scheme", "https", ":authority", "localhost", ":path", "/", "x-long", strings.Repeat("x", length)))
			if got != want {
				t.Errorf("%d bytes: %s, want %s", length, got, want)
			}
		}
	})
	t.Run("header_timeout", func(t *testing.T) {
		for _, change := range []func(*Config){plain, func(*Config) {}} {
			f := newFixture(t, hello, change, limits(func(l *Limits) { l.HeaderTimeout = 300 * time.Millisecond }))
			// Part of a request line, of a header line, and a header without end.
			for _, part := range []string{"GET /slow", "GET / HTTP/1.1\r\nHost: loc", "POST / HTTP/1.1\r\nHost: localhost\r\n"} {
				c := f.h1()
				c.get("/")
				c.answer()
				c.send(part)
				if res := c.answer(); res.StatusCode != http.StatusRequestTimeout {
					t.Errorf("got %s, want 408", res.Status)
				}
				c.ended() // and nothing more was said
			}
		}
	})
	t.Run("header_timeout of a handshake", func(t *testing.T) {
		f := newFixture(t, hello, limits(func(l *Limits) { l.HeaderTimeout = 50 * time.Millisecond }))
		conn, err := net.Dial("tcp", f.socket.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("got %v, want the connection closed", err)
		}
	})
	t.Run("idle_timeout", func(t *testing.T) {
		f := newFixture(t, hello, limits(func(l *Limits) { l.IdleTimeout = 300 * time.Millisecond }))
		one, two := f.h1(), f.h2()
		one.get("/")
		one.answer()
		one.ended()
		f.h1().ended() // without a word
		two.untilGoAway()
		two.ended()
	})
	t.Run("max_concurrent_streams", func(t *testing.T) {
		f := newFixture(t, hello, limits(func(l *Limits) { l.MaxConcurrentStreams = 7 }))
		f.h2().until("SETTINGS", func(frame http2.Frame) bool {
			settings, ok := frame.(*http2.SettingsFrame)
			if !ok {
				return false
			}
			if n, _ := settings.Value(http2.SettingMaxConcurrentStreams); n != 7 {
				t.Errorf("%d streams are allowed, want 7", n)
			}
			return true
		})
	})
	t.Run("idle connections outlive header_timeout", func(t *testing.T) {
		f := newFixture(t, hello, limits(func(l *Limits) { l.HeaderTimeout = 200 * time.Millisecond }))
		one, silent := f.h1(), f.h1()
		one.get("/")
		one.answer()
		<-time.After(500 * time.Millisecond)
		for _, c := range []*h1{one, silent} {
			c.get("/")
			c.answer()
		}
	})
}

func TestIdleConnectionsCostAtMostTwoGoroutines(t *testing.T) {
	f := newFixture(t, hello)
	before := runtime.NumGoroutine()
	const n = 50
	for range n {
		one := f.h1()
		one.get("/")
		one.answer()
		two := f.h2()
		two.untilEnd(two.get("/"))
	}
	testkit.Eventually(t, "few goroutines", func() bool { return runtime.NumGoroutine()-before <= 3*n+1 })
}
