package transport_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters/peertest"
	"github.com/mcpgateway/mcpgateway/clusters/transport"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

func TestProtocolsAreChosenAsConfigured(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	plain, secure := peertest.Serve(t, "", nil, http.HandlerFunc(peertest.Echo)), peertest.Serve(t, "", ca, http.HandlerFunc(peertest.Echo))
	for _, tc := range []struct {
		scheme    string
		protocols []string
		want      string
	}{
		{"http", nil, "HTTP/1.1"},
		{"http", []string{"http/1.1"}, "HTTP/1.1"},
		{"http", []string{"h2"}, "HTTP/2.0"},
		{"https", nil, "HTTP/2.0"},
		{"https", []string{"http/1.1"}, "HTTP/1.1"},
		{"https", []string{"h2"}, "HTTP/2.0"},
	} {
		addr := plain.Addr
		if tc.scheme == "https" {
			addr = secure.Addr
		}
		cfg := cluster(t, "c", tc.scheme+"://"+addr+"/base")
		cfg.Protocols = tc.protocols
		if tc.scheme == "https" {
			cfg.TLS = peertest.Identity(t, ca, "c")
		}
		e := connect(t, cfg)
		want := tc.want + " POST " + addr + " /path?q=1 body"
		res, err := e.RoundTrip(peertest.Request(t, "POST", "/path?q=1", "body"))
		if err != nil {
			t.Fatal(err)
		}
		if got := peertest.Read(t, res); got != want {
			t.Errorf("%s %v: %q, want %q", tc.scheme, tc.protocols, got, want)
		}
	}
}

func TestHostPathAndHeadersArriveAsTheCallerSetThem(t *testing.T) {
	server := peertest.Serve(t, "", nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %q %q", r.Host, r.URL.RequestURI(), r.Header["X-Own"], r.Header["Accept-Encoding"])
	}))
	e := connect(t, cluster(t, "c", "http://"+server.Addr+"/base"))
	req := peertest.Request(t, "GET", "/a%20b?x=%2F", "")
	req.Host = "front.example"
	req.Header.Set("X-Own", "1")
	res, err := e.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := peertest.Read(t, res), `front.example /a%20b?x=%2F ["1"] []`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if req.URL.Host != "ignored" {
		t.Error("the caller's request was modified")
	}
}

func TestRedirectsAndCompressionPassThrough(t *testing.T) {
	server := peertest.Serve(t, "", nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/redirect" {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		fmt.Fprint(z, "text")
		z.Close()
	}))
	c := connect(t, cluster(t, "c", "http://"+server.Addr))
	res, err := c.RoundTrip(peertest.Request(t, "GET", "/redirect", ""))
	if err != nil || res.StatusCode != http.StatusFound {
		t.Fatalf("redirect: %v, %v", res, err)
	}
	peertest.Read(t, res)
	if got := peertest.Fetch(t, c, "/gzip"); !strings.HasPrefix(got, "\x1f\x8b") {
		t.Errorf("the body was touched: %q", got)
	}
}

func TestTrailersPassThroughOverPlainHTTP2(t *testing.T) {
	server := peertest.Serve(t, "", nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Grpc-Status")
		fmt.Fprint(w, "message")
		w.Header().Set("Grpc-Status", "0")
	}))
	cfg := cluster(t, "grpc", "http://"+server.Addr)
	cfg.Protocols = []string{"h2"}
	res, err := connect(t, cfg).RoundTrip(peertest.Request(t, "POST", "/", ""))
	if err != nil {
		t.Fatal(err)
	}
	peertest.Read(t, res)
	if got := res.Trailer.Get("Grpc-Status"); got != "0" {
		t.Errorf("trailer is %q", got)
	}
}

func TestABodyWaitsForTheServersContinue(t *testing.T) {
	server := peertest.Serve(t, "", nil, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusExpectationFailed)
	}))
	for _, protocol := range []string{"http/1.1", "h2"} {
		cfg := cluster(t, "c", "http://"+server.Addr)
		cfg.Protocols = []string{protocol}
		body := io.NopCloser(iotest.ErrReader(errors.New("the body was read")))
		req := peertest.Request(t, "POST", "/", "")
		req.Body, req.GetBody, req.ContentLength = body, nil, 7
		req.Header.Set("Expect", "100-continue")
		res, err := connect(t, cfg).RoundTrip(req)
		if err != nil || res.StatusCode != http.StatusExpectationFailed {
			t.Fatalf("%s: %v, %v", protocol, res, err)
		}
		peertest.Read(t, res)
	}
}

func TestUpgradeNeedsHTTP1(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	server := peertest.Serve(t, "", ca, peertest.Everything())
	both, only := cluster(t, "both", "https://"+server.Addr), cluster(t, "only", "https://"+server.Addr)
	only.Protocols = []string{"h2"}
	both.TLS = peertest.Identity(t, ca, "c")
	only.TLS = both.TLS
	c := connect(t, both)
	peertest.Fetch(t, c, "/") // the pool has an HTTP/2 connection by now
	res, err := c.RoundTrip(peertest.UpgradeRequest(t))
	if err != nil {
		t.Fatal(err)
	}
	if n := c.Active(); n != 1 {
		t.Errorf("%d requests in flight during the upgrade", n)
	}
	peertest.Talk(t, res)
	if n := c.Active(); n != 0 {
		t.Errorf("%d requests in flight after it", n)
	}
	if _, err := connect(t, only).RoundTrip(peertest.UpgradeRequest(t)); err == nil || !strings.Contains(err.Error(), "HTTP/1.1") {
		t.Errorf("over h2 alone: %v", err)
	}
}

func TestConnectTimeoutCoversTLS(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	cfg := cluster(t, "mute", "https://"+ln.Addr().String())
	cfg.ConnectTimeout = 20 * time.Millisecond
	_, err = connect(t, cfg).RoundTrip(peertest.Request(t, "POST", "/", "x"))
	ce := (*transport.ConnectError)(nil)
	if !errors.As(err, &ce) || !strings.Contains(err.Error(), "connect_timeout (20ms)") {
		t.Errorf("got %v", err)
	}
}

func TestACallGivenUpBeforeConnectingSentNothing(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	c := connect(t, cluster(t, "mute", "https://"+ln.Addr().String()))
	_, err = c.RoundTrip(peertest.Request(t, "POST", "/", "x").WithContext(ctx))
	if ce := (*transport.ConnectError)(nil); !errors.As(err, &ce) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestAnAnswerThatBreaksOffIsNoConnectError(t *testing.T) {
	server := peertest.Serve(t, "", nil, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	_, err := connect(t, cluster(t, "c", "http://"+server.Addr)).RoundTrip(peertest.Request(t, "POST", "/", "x"))
	if ce := (*transport.ConnectError)(nil); err == nil || errors.As(err, &ce) {
		t.Errorf("got %v", err)
	}
}

func TestNoRequestUsesAConnectionBeyondItsAge(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	for _, protocol := range []string{"http/1.1", "h2"} {
		server := peertest.Serve(t, "", ca, peertest.Everything())
		cfg := cluster(t, "c", "https://"+server.Addr)
		cfg.TLS, cfg.Protocols, cfg.MaxConnectionAge = peertest.Identity(t, ca, "c"), []string{protocol}, 100*time.Millisecond
		c := connect(t, cfg)
		streaming, stop := context.WithCancel(t.Context())
		stream, err := c.RoundTrip(peertest.Request(t, "GET", "/stream", "").WithContext(streaming))
		if err != nil {
			t.Fatal(err)
		}
		// The stream outlives its connection's age; calls get new connections.
		peertest.Eventually(t, "new connections", func() bool {
			peertest.Fetch(t, c, "/")
			_, all := server.Connections()
			return all >= 4
		})
		if _, err := io.ReadFull(stream.Body, make([]byte, 9)); err != nil {
			t.Errorf("%s: the stream broke: %v", protocol, err)
		}
		stop()
		stream.Body.Close()
		// Nothing is used any more, and so nothing stays beyond its age.
		peertest.Eventually(t, "all closed", func() bool { open, _ := server.Connections(); return open == 0 })
	}
}

func TestStreamsEndAtTheClientCertificatesNotAfter(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	for _, path := range []string{"/stream", "/upgrade"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			server := peertest.Serve(t, "", ca, peertest.Everything())
			template := tlstest.Template(t, "brief")
			// Certificates count in whole seconds.
			template.NotAfter = time.Now().Add(3 * time.Second)
			cert, key := ca.Issue(t, template)
			cfg := cluster(t, "c", "https://"+server.Addr)
			cfg.TLS = peertest.KeyPair(ca, cert, key)
			c := connect(t, cfg)
			req := peertest.Request(t, "GET", path, "")
			if path == "/upgrade" {
				req = peertest.UpgradeRequest(t)
			}
			res, err := c.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(res.Body); !errors.Is(err, transport.ErrExpired) {
				t.Errorf("the stream ended with %v", err)
			}
			res.Body.Close()
			peertest.Eventually(t, "all closed", func() bool { open, _ := server.Connections(); return open == 0 })
			_, err = c.RoundTrip(peertest.Request(t, "GET", "/", ""))
			if ce := (*transport.ConnectError)(nil); !errors.As(err, &ce) || !strings.Contains(err.Error(), "replace tls.client_cert") {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

func TestIdleConnectionsCloseAfterIdleTimeout(t *testing.T) {
	server := peertest.Serve(t, "", nil, http.HandlerFunc(peertest.Echo))
	cfg := cluster(t, "c", "http://"+server.Addr)
	cfg.IdleTimeout = 20 * time.Millisecond
	peertest.Fetch(t, connect(t, cfg), "/")
	peertest.Eventually(t, "closed", func() bool { open, all := server.Connections(); return open == 0 && all == 1 })
}
