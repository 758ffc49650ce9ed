package clusters_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

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
