package clusters_test

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

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

func TestProtocolsAreChosenAsConfigured(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	plain, secure := serve(t, "", nil, http.HandlerFunc(echo)), serve(t, "", ca, http.HandlerFunc(echo))
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
		addr := plain.addr
		if tc.scheme == "https" {
			addr = secure.addr
		}
		cfg := cluster(t, "c", tc.scheme+"://"+addr+"/base")
		cfg.Protocols = tc.protocols
		if tc.scheme == "https" {
			cfg.TLS = identity(t, ca, "c")
		}
		e := get(t, newSet(t, clusters.Options{}, cfg), "c").Endpoints()[0]
		want := tc.want + " POST " + addr + " /path?q=1 body"
		res, err := e.RoundTrip(request(t, "POST", "/path?q=1", "body"))
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, res); got != want {
			t.Errorf("%s %v: %q, want %q", tc.scheme, tc.protocols, got, want)
		}
	}
}

func TestHostPathAndHeadersArriveAsTheCallerSetThem(t *testing.T) {
	server := serve(t, "", nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %q %q", r.Host, r.URL.RequestURI(), r.Header["X-Own"], r.Header["Accept-Encoding"])
	}))
	e := get(t, newSet(t, clusters.Options{}, cluster(t, "c", "http://"+server.addr+"/base")), "c").Endpoints()[0]
	req := request(t, "GET", "/a%20b?x=%2F", "")
	req.Host = "front.example"
	req.Header.Set("X-Own", "1")
	res, err := e.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := read(t, res), `front.example /a%20b?x=%2F ["1"] []`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if req.URL.Host != "ignored" {
		t.Error("the caller's request was modified")
	}
}

func TestRedirectsAndCompressionPassThrough(t *testing.T) {
	server := serve(t, "", nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/redirect" {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		fmt.Fprint(z, "text")
		z.Close()
	}))
	c := get(t, newSet(t, clusters.Options{}, cluster(t, "c", "http://"+server.addr)), "c")
	res, err := c.RoundTrip(request(t, "GET", "/redirect", ""))
	if err != nil || res.StatusCode != http.StatusFound {
		t.Fatalf("redirect: %v, %v", res, err)
	}
	read(t, res)
	if got := fetch(t, c, "/gzip"); !strings.HasPrefix(got, "\x1f\x8b") {
		t.Errorf("the body was touched: %q", got)
	}
}

func TestTrailersPassThroughOverPlainHTTP2(t *testing.T) {
	server := serve(t, "", nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Grpc-Status")
		fmt.Fprint(w, "message")
		w.Header().Set("Grpc-Status", "0")
	}))
	cfg := cluster(t, "grpc", "http://"+server.addr)
	cfg.Protocols = []string{"h2"}
	res, err := get(t, newSet(t, clusters.Options{}, cfg), "grpc").RoundTrip(request(t, "POST", "/", ""))
	if err != nil {
		t.Fatal(err)
	}
	read(t, res)
	if got := res.Trailer.Get("Grpc-Status"); got != "0" {
		t.Errorf("trailer is %q", got)
	}
}

func TestABodyWaitsForTheServersContinue(t *testing.T) {
	server := serve(t, "", nil, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusExpectationFailed)
	}))
	for _, protocol := range []string{"http/1.1", "h2"} {
		cfg := cluster(t, "c", "http://"+server.addr)
		cfg.Protocols = []string{protocol}
		body := &once{Reader: iotest.ErrReader(errors.New("the body was read"))}
		req := request(t, "POST", "/", "")
		req.Body, req.GetBody, req.ContentLength = body, nil, 7
		req.Header.Set("Expect", "100-continue")
		res, err := get(t, newSet(t, clusters.Options{}, cfg), "c").RoundTrip(req)
		if err != nil || res.StatusCode != http.StatusExpectationFailed {
			t.Fatalf("%s: %v, %v", protocol, res, err)
		}
		read(t, res)
	}
}

func TestUpgradeNeedsHTTP1(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	server := serve(t, "", ca, everything())
	both, only := cluster(t, "both", "https://"+server.addr), cluster(t, "only", "https://"+server.addr)
	only.Protocols = []string{"h2"}
	both.TLS = identity(t, ca, "c")
	only.TLS = both.TLS
	set := newSet(t, clusters.Options{}, both, only)
	fetch(t, get(t, set, "both"), "/") // the pool has an HTTP/2 connection by now
	res, err := get(t, set, "both").RoundTrip(upgradeRequest(t))
	if err != nil {
		t.Fatal(err)
	}
	if n := get(t, set, "both").Endpoints()[0].Active(); n != 1 {
		t.Errorf("%d requests in flight during the upgrade", n)
	}
	talk(t, res)
	if n := get(t, set, "both").Endpoints()[0].Active(); n != 0 {
		t.Errorf("%d requests in flight after it", n)
	}
	if _, err := get(t, set, "only").RoundTrip(upgradeRequest(t)); err == nil || !strings.Contains(err.Error(), "HTTP/1.1") {
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
	_, err = get(t, newSet(t, clusters.Options{}, cfg), "mute").RoundTrip(request(t, "POST", "/", "x"))
	ce := (*clusters.ConnectError)(nil)
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
	c := get(t, newSet(t, clusters.Options{}, cluster(t, "mute", "https://"+ln.Addr().String())), "mute")
	_, err = c.RoundTrip(request(t, "POST", "/", "x").WithContext(ctx))
	if ce := (*clusters.ConnectError)(nil); !errors.As(err, &ce) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestAnAnswerThatBreaksOffIsNoConnectError(t *testing.T) {
	server := serve(t, "", nil, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	_, err := get(t, newSet(t, clusters.Options{}, cluster(t, "c", "http://"+server.addr)), "c").RoundTrip(request(t, "POST", "/", "x"))
	if ce := (*clusters.ConnectError)(nil); err == nil || errors.As(err, &ce) {
		t.Errorf("got %v", err)
	}
}

func TestNoRequestUsesAConnectionBeyondItsAge(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	for _, protocol := range []string{"http/1.1", "h2"} {
		server := serve(t, "", ca, everything())
		cfg := cluster(t, "c", "https://"+server.addr)
		cfg.TLS, cfg.Protocols, cfg.MaxConnectionAge = identity(t, ca, "c"), []string{protocol}, 100*time.Millisecond
		c := get(t, newSet(t, clusters.Options{}, cfg), "c")
		streaming, stop := context.WithCancel(t.Context())
		stream, err := c.RoundTrip(request(t, "GET", "/stream", "").WithContext(streaming))
		if err != nil {
			t.Fatal(err)
		}
		// The stream outlives its connection's age; calls get new connections.
		eventually(t, "new connections", func() bool {
			fetch(t, c, "/")
			_, all := server.connections()
			return all >= 4
		})
		if _, err := io.ReadFull(stream.Body, make([]byte, 9)); err != nil {
			t.Errorf("%s: the stream broke: %v", protocol, err)
		}
		stop()
		stream.Body.Close()
		// Nothing is used any more, and so nothing stays beyond its age.
		eventually(t, "all closed", func() bool { open, _ := server.connections(); return open == 0 })
	}
}

func TestStreamsEndAtTheClientCertificatesNotAfter(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	for _, path := range []string{"/stream", "/upgrade"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			server := serve(t, "", ca, everything())
			template := tlstest.Template(t, "brief")
			// Certificates count in whole seconds.
			template.NotAfter = time.Now().Add(3 * time.Second)
			cert, key := ca.Issue(t, template)
			cfg := cluster(t, "c", "https://"+server.addr)
			cfg.TLS = keyPair(ca, cert, key)
			c := get(t, newSet(t, clusters.Options{}, cfg), "c")
			req := request(t, "GET", path, "")
			if path == "/upgrade" {
				req = upgradeRequest(t)
			}
			res, err := c.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(res.Body); !errors.Is(err, clusters.ErrExpired) {
				t.Errorf("the stream ended with %v", err)
			}
			res.Body.Close()
			eventually(t, "all closed", func() bool { open, _ := server.connections(); return open == 0 })
			_, err = c.RoundTrip(request(t, "GET", "/", ""))
			if ce := (*clusters.ConnectError)(nil); !errors.As(err, &ce) || !strings.Contains(err.Error(), "replace tls.client_cert") {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

func TestIdleConnectionsCloseAfterIdleTimeout(t *testing.T) {
	server := serve(t, "", nil, http.HandlerFunc(echo))
	cfg := cluster(t, "c", "http://"+server.addr)
	cfg.IdleTimeout = 20 * time.Millisecond
	fetch(t, get(t, newSet(t, clusters.Options{}, cfg), "c"), "/")
	eventually(t, "closed", func() bool { open, all := server.connections(); return open == 0 && all == 1 })
}
