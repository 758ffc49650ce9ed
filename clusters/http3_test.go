package clusters_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// open begins a stream of /stream and reads its first event.
func open(t testing.TB, rt http.RoundTripper) (stream *http.Response, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	res, err := rt.RoundTrip(request(t, "GET", "/stream", "").WithContext(ctx))
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	if b := make([]byte, 9); readFull(res, b) != nil || string(b) != "data: 1\n\n" {
		t.Errorf("the stream began with %q", b)
	}
	return res, func() { cancel(); res.Body.Close() }
}

func readFull(res *http.Response, b []byte) error {
	_, err := io.ReadFull(res.Body, b)
	return err
}

func TestEveryQUICConnectionShowsTheClientCertificate(t *testing.T) {
	for _, kind := range []string{"mcp", "http"} {
		t.Run(kind, func(t *testing.T) {
			ca := tlstest.NewCA(t, "Test CA")
			server := serveHTTP3(t, "", ca, everything())
			cfg := http3Cluster(t, "strict", server, ca)
			cfg.HealthCheck = checks(t, kind)
			cfg.HealthCheck.Interval = 5 * time.Millisecond
			cfg.MaxConnectionAge = 30 * time.Millisecond // reconnect now and then
			set := newSet(t, clusters.Options{Prober: pingProber{}}, cfg)
			set.Warm(t.Context())
			c := get(t, set, "strict")
			eventually(t, "healthy", func() bool { return c.Status().Healthy })
			_, stop := open(t, c)
			for range 10 {
				if got, want := fetch(t, c, "/call"), "HTTP/3.0 GET "+server.addr+" /call "; got != want {
					t.Fatalf("got %q, want %q", got, want)
				}
			}
			retry := clusters.WithRetry(t.Context(), clusters.RetryPolicy{Attempts: 2, On: []string{"503"}})
			if res, err := c.RoundTrip(request(t, "GET", "/flaky", "").WithContext(retry)); err != nil || res.StatusCode != 200 {
				t.Fatalf("retry: %v, %v", res, err)
			}
			eventually(t, "several connections", func() bool { return len(server.seen()) > 3 })
			stop()
			for _, name := range server.seen() {
				if strings.TrimSuffix(name, " resumed") != "the-client" {
					t.Errorf("a connection showed %q", name)
				}
			}
		})
	}
}

func TestClustersOfOneAddressShareNoQUICSession(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	server := serveHTTP3(t, "", ca, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	var cfgs []clusters.Config
	for _, name := range []string{"alice", "bob"} {
		cfg := http3Cluster(t, name, server, ca)
		cfg.TLS, cfg.IdleTimeout = identity(t, ca, name), time.Nanosecond // each call resumes if it can
		cfgs = append(cfgs, cfg)
	}
	set := newSet(t, clusters.Options{}, cfgs...)
	for range 5 {
		for _, name := range []string{"alice", "bob"} {
			if got := fetch(t, get(t, set, name), "/"); got != name {
				t.Fatalf("a call of %s arrived as %s", name, got)
			}
		}
	}
	for _, name := range []string{"alice", "bob"} {
		if i := slices.IndexFunc(server.seen(), func(s string) bool { return strings.HasPrefix(s, name) }); i < 0 || server.seen()[i] != name {
			t.Errorf("the first connection of %s was a resumed one: %v", name, server.seen())
		}
	}
}

func TestWhatKeepsQUICFromConnectingIsSaid(t *testing.T) {
	ca, other := tlstest.NewCA(t, "Test CA"), tlstest.NewCA(t, "Other CA")
	server := serveHTTP3(t, "", ca, everything())
	mute, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	gone, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	for want, change := range map[string]func(*clusters.Config){
		"not for the server_name other.example":      func(c *clusters.Config) { c.TLS.ServerName = "other.example" },
		"not for any of verify_names: other.example": func(c *clusters.Config) { c.TLS.VerifyNames = []string{"other.example"} },
		"signed by unknown authority":                func(c *clusters.Config) { c.TLS.CACert = identity(t, other, "x").CACert },
		"set tls.client_cert and tls.client_key":     func(c *clusters.Config) { c.TLS.ClientCert.Path, c.TLS.ClientKey.Path = "", "" },
		"the server seems to refuse the client certificate": func(c *clusters.Config) {
			ours := c.TLS.CACert
			c.TLS = identity(t, other, "x")
			c.TLS.CACert = ours
		},
		"speaks QUIC on this port, but not HTTP/3": func(c *clusters.Config) {
			c.Endpoints = []string{"https://" + serveHTTP3(t, "", ca, everything(), "doq").addr}
		},
		"nothing listens on this UDP port": func(c *clusters.Config) { c.Endpoints = []string{"https://" + gone.LocalAddr().String()} },
		"no connection within connect_timeout (50ms)": func(c *clusters.Config) {
			c.Endpoints, c.ConnectTimeout = []string{"https://" + mute.LocalAddr().String()}, 50*time.Millisecond
		},
		"UDP may be blocked": func(c *clusters.Config) {
			c.Endpoints, c.ConnectTimeout = []string{"https://" + mute.LocalAddr().String()}, 50*time.Millisecond
		},
	} {
		cfg := http3Cluster(t, "c", server, ca)
		change(&cfg)
		body := &once{Reader: strings.NewReader("x")}
		req := request(t, "POST", "/", "")
		req.Body, req.GetBody, req.ContentLength = body, nil, 1
		_, err := get(t, newSet(t, clusters.Options{}, cfg), "c").Endpoints()[0].RoundTrip(req)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if ce := (*clusters.ConnectError)(nil); !errors.As(err, &ce) && !strings.Contains(want, "client") {
			t.Errorf("%v is no ConnectError", err)
		}
	}
}

func TestARefusedQUICHandshakeGoesOnToTheNextEndpoint(t *testing.T) {
	ca, other := tlstest.NewCA(t, "Test CA"), tlstest.NewCA(t, "Other CA")
	strict, good := serveHTTP3(t, "", other, everything()), serveHTTP3(t, "", ca, everything())
	cfg := http3Cluster(t, "c", good, ca)
	cfg.Endpoints = []string{"https://" + strict.addr + "/mcp", "https://" + good.addr + "/mcp"}
	cfg.TLS.InsecureSkipVerify = true // the strict one's certificate is of another CA as well
	c := get(t, newSet(t, clusters.Options{}, cfg), "c")
	for range 6 {
		res, err := c.RoundTrip(request(t, "POST", "/", "call"))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := read(t, res), "HTTP/3.0 POST "+good.addr+" / call"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestARotatedIdentityKeepsTheStreamOnTheOldQUICConnection(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	server := serveHTTP3(t, "", ca, everything())
	cfg := http3Cluster(t, "c", server, ca)
	first := prepare(t, nil, clusters.Options{}, cfg)
	first.Commit()
	stream, stop := open(t, get(t, first, "c"))
	cfg.TLS = identity(t, ca, "new")
	second := prepare(t, first, clusters.Options{}, cfg)
	second.Commit()
	first.Release()
	for range 3 {
		fetch(t, get(t, second, "c"), "/")
	}
	if got := server.seen(); !slices.Equal(got, []string{"the-client", "new"}) {
		t.Errorf("connections showed %v", got)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := io.ReadAll(stream.Body)
		ended <- err
	}()
	if open, _ := server.connections(); open != 2 {
		t.Errorf("%d connections are open", open)
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the stream ended with %v", err)
	}
	eventually(t, "the old connection is closed", func() bool { open, _ := server.connections(); return open == 1 })
}

func TestAKilledHTTP3ServerFailsTheCallAndTheNextReconnects(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	for _, abrupt := range []bool{false, true} {
		server := serveHTTP3(t, "", ca, everything())
		c := get(t, newSet(t, clusters.Options{}, http3Cluster(t, "c", server, ca)), "c")
		stream, stop := open(t, c)
		if abrupt {
			server.socket.Close() // no goodbye
		} else {
			server.current().Close()
		}
		if abrupt {
			// What is sent next meets a closed port.
			_, _ = c.RoundTrip(request(t, "GET", "/", ""))
		}
		if _, err := io.ReadAll(stream.Body); err == nil {
			t.Error("the stream ended well")
		}
		stop()
		server.end()
		_, err := c.RoundTrip(request(t, "POST", "/", "x"))
		if ce := (*clusters.ConnectError)(nil); !errors.As(err, &ce) {
			t.Errorf("without a server: %v", err)
		}
		again := serveHTTP3(t, server.addr, ca, everything())
		fetch(t, c, "/")
		if _, all := again.connections(); all != 1 {
			t.Errorf("%d connections to the new server", all)
		}
	}
}

func TestCallsLeaveAServerThatHasForgottenTheConnection(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	server := serveHTTP3(t, "", ca, everything())
	c := get(t, newSet(t, clusters.Options{}, http3Cluster(t, "c", server, ca)), "c")
	fetch(t, c, "/")
	server.socket.Close() // no goodbye
	server.end()
	again := serveHTTP3(t, server.addr, ca, everything())
	eventually(t, "an answer", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		res, err := c.RoundTrip(request(t, "POST", "/", "x").WithContext(ctx))
		if err != nil {
			return false
		}
		res.Body.Close()
		return true
	})
	if open, all := again.connections(); open != 1 || all != 1 {
		t.Errorf("%d of %d connections are open", open, all)
	}
}

func TestNoCallFailsWhileHTTP3ServersShutDown(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	server := serveHTTP3(t, "", ca, everything())
	c := get(t, newSet(t, clusters.Options{}, http3Cluster(t, "c", server, ca)), "c")
	done := make(chan struct{})
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				res, err := c.RoundTrip(request(t, "POST", "/", "call"))
				if err != nil {
					t.Error(err)
					return
				}
				if b, err := io.ReadAll(res.Body); err != nil || !strings.HasSuffix(string(b), " call") {
					t.Errorf("answered %q, %v", b, err)
				}
				res.Body.Close()
			}
		})
	}
	for range 10 {
		_, before := server.connections()
		stream, stop := open(t, c)
		old := server.replace()
		var shutdown sync.WaitGroup
		shutdown.Go(func() { _ = old.Shutdown(t.Context()) })
		eventually(t, "a new connection", func() bool { fetch(t, c, "/"); _, all := server.connections(); return all > before })
		if stream.Body == nil {
			t.Error("no stream")
		}
		stop()
		shutdown.Wait()
	}
	close(done)
	work.Wait()
}

func TestNoRequestUsesAQUICConnectionBeyondItsAge(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	server := serveHTTP3(t, "", ca, everything())
	cfg := http3Cluster(t, "c", server, ca)
	cfg.MaxConnectionAge = 100 * time.Millisecond
	c := get(t, newSet(t, clusters.Options{}, cfg), "c")
	_, stop := open(t, c)
	eventually(t, "new connections", func() bool {
		fetch(t, c, "/")
		_, all := server.connections()
		return all >= 4
	})
	eventually(t, "only the stream's connection stays", func() bool { open, _ := server.connections(); return open == 1 })
	stop()
	eventually(t, "all closed", func() bool { open, _ := server.connections(); return open == 0 })
}

func TestHTTP3StreamsEndAtTheClientCertificatesNotAfter(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	server := serveHTTP3(t, "", ca, everything())
	template := tlstest.Template(t, "brief")
	template.NotAfter = time.Now().Add(1500 * time.Millisecond)
	cert, key := ca.Issue(t, template)
	cfg := http3Cluster(t, "c", server, ca)
	cfg.TLS = keyPair(ca, cert, key)
	c := get(t, newSet(t, clusters.Options{}, cfg), "c")
	stream, stop := open(t, c)
	defer stop()
	if _, err := io.ReadAll(stream.Body); !errors.Is(err, clusters.ErrExpired) {
		t.Errorf("ended with %v", err)
	}
	eventually(t, "all closed", func() bool { open, _ := server.connections(); return open == 0 })
	_, err := c.RoundTrip(request(t, "GET", "/", ""))
	if ce := (*clusters.ConnectError)(nil); !errors.As(err, &ce) || !strings.Contains(err.Error(), "replace tls.client_cert") {
		t.Errorf("afterwards: %v", err)
	}
}

func TestIdleQUICConnectionsCloseAfterIdleTimeout(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	server := serveHTTP3(t, "", ca, everything())
	cfg := http3Cluster(t, "c", server, ca)
	cfg.IdleTimeout = 20 * time.Millisecond
	fetch(t, get(t, newSet(t, clusters.Options{}, cfg), "c"), "/")
	eventually(t, "closed", func() bool { open, all := server.connections(); return open == 0 && all == 1 })
}

func TestAReleasedHTTP3ClusterLeavesNoSocket(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	server := serveHTTP3(t, "", ca, everything())
	before := descriptors(t)
	for range 5 {
		set := newSet(t, clusters.Options{}, http3Cluster(t, "c", server, ca))
		_, stop := open(t, get(t, set, "c"))
		fetch(t, get(t, set, "c"), "/")
		stop()
		release(t, set)
	}
	eventually(t, "all sockets closed", func() bool { open, _ := server.connections(); return open == 0 && descriptors(t) <= before })
}

func TestMoreStreamsThanAQUICConnectionHoldsGetMoreConnections(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	server := serveHTTP3(t, "", ca, everything())
	c := get(t, newSet(t, clusters.Options{}, http3Cluster(t, "c", server, ca)), "c")
	for range 250 {
		_, stop := open(t, c)
		defer stop()
	}
	if _, all := server.connections(); all != 3 {
		t.Errorf("250 streams made %d connections", all)
	}
}

func TestLargeBodiesAndTrailersPassOverHTTP3(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	server := serveHTTP3(t, "", ca, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Sum")
		sum := sha256.New()
		n, err := io.Copy(io.MultiWriter(w, sum), r.Body)
		w.Header().Set("Sum", fmt.Sprintf("%d %v %x %s", n, err, sum.Sum(nil), r.Trailer.Get("Last")))
	}))
	c := get(t, newSet(t, clusters.Options{}, http3Cluster(t, "c", server, ca)), "c")
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<20) // 16 MiB
	for _, length := range []int64{int64(len(content)), -1} {
		req := request(t, "POST", "/", "")
		req.Body, req.GetBody, req.ContentLength = io.NopCloser(bytes.NewReader(content)), nil, length
		req.Trailer = http.Header{"Last": {"word"}}
		res, err := c.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, res); got != string(content) {
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
	server := serveHTTP3(t, "", ca, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			return
		}
		_ = http.NewResponseController(w).Flush()
		_, err := io.Copy(io.Discard, r.Body)
		ended <- err
	}))
	c := get(t, newSet(t, clusters.Options{}, http3Cluster(t, "c", server, ca)), "c")
	for _, leave := range []func(*http.Response, context.CancelFunc){
		func(res *http.Response, _ context.CancelFunc) { res.Body.Close() },
		func(_ *http.Response, cancel context.CancelFunc) { cancel() },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		pr, pw := io.Pipe()
		defer pw.Close()
		req := request(t, "POST", "/upload", "").WithContext(ctx)
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
		fetch(t, c, "/")
	}
	if _, all := server.connections(); all != 1 {
		t.Errorf("there were %d connections", all)
	}
	eventually(t, "nothing in flight", func() bool { return c.Endpoints()[0].Active() == 0 })
}

func TestRequestsThatHTTP3CannotCarryAreRefused(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	server := serveHTTP3(t, "", ca, everything())
	c := get(t, newSet(t, clusters.Options{}, http3Cluster(t, "c", server, ca)), "c")
	if _, err := c.RoundTrip(upgradeRequest(t)); err == nil || !strings.Contains(err.Error(), "needs HTTP/1.1, and protocols of this cluster has only h3") {
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
		req := request(t, "GET", "/", "")
		change(req)
		if _, err := c.RoundTrip(req); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
