package clusters_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/clusters/peertest"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

func TestEveryQUICConnectionShowsTheClientCertificate(t *testing.T) {
	for kind, works := range clusters.Kinds() {
		if !works.HTTP3 {
			continue
		}
		t.Run(kind, func(t *testing.T) {
			ca := tlstest.NewCA(t, "Test CA")
			server := peertest.ServeHTTP3(t, "", ca, peertest.Everything())
			cfg := http3Cluster(t, "strict", server, ca)
			cfg.HealthCheck = checks(t, kind)
			cfg.HealthCheck.Interval = 5 * time.Millisecond
			cfg.MaxConnectionAge = 30 * time.Millisecond // reconnect now and then
			set := prepare(t, nil, clusters.Options{Probers: map[string]clusters.Prober{kind: pingProber{}}}, cfg)
			set.Warm(t.Context())
			c := get(t, set, "strict")
			if !c.Endpoints()[0].Healthy() || len(server.Seen()) == 0 {
				t.Fatalf("before the commit checks found %+v over %d connections", c.Endpoints()[0].Status(), len(server.Seen()))
			}
			set.Commit()
			_, stop := peertest.Open(t, c)
			for range 10 {
				if got, want := peertest.Fetch(t, c, "/call"), "HTTP/3.0 GET "+server.Addr+" /call "; got != want {
					t.Fatalf("got %q, want %q", got, want)
				}
			}
			retry := clusters.WithRetry(t.Context(), clusters.RetryPolicy{Attempts: 2, On: []string{"503"}})
			if res, err := c.RoundTrip(peertest.Request(t, "GET", "/flaky", "").WithContext(retry)); err != nil || res.StatusCode != 200 {
				t.Fatalf("retry: %v, %v", res, err)
			}
			peertest.Eventually(t, "several connections", func() bool { return len(server.Seen()) > 3 })
			stop()
			for _, name := range server.Seen() {
				if strings.TrimSuffix(name, " resumed") != "the-client" {
					t.Errorf("a connection showed %q", name)
				}
			}
		})
	}
}

func TestClustersOfOneAddressShareNoQUICSession(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	server := peertest.ServeHTTP3(t, "", ca, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	var cfgs []clusters.Config
	for _, name := range []string{"alice", "bob"} {
		cfg := http3Cluster(t, name, server, ca)
		cfg.TLS, cfg.IdleTimeout = peertest.Identity(t, ca, name), time.Nanosecond // each call resumes if it can
		cfgs = append(cfgs, cfg)
	}
	set := newSet(t, clusters.Options{}, cfgs...)
	for range 5 {
		for _, name := range []string{"alice", "bob"} {
			if got := peertest.Fetch(t, get(t, set, name), "/"); got != name {
				t.Fatalf("a call of %s arrived as %s", name, got)
			}
		}
	}
	for _, name := range []string{"alice", "bob"} {
		if i := slices.IndexFunc(server.Seen(), func(s string) bool { return strings.HasPrefix(s, name) }); i < 0 || server.Seen()[i] != name {
			t.Errorf("the first connection of %s was a resumed one: %v", name, server.Seen())
		}
	}
}

func TestARefusedQUICHandshakeGoesOnToTheNextEndpoint(t *testing.T) {
	ca, other := tlstest.NewCA(t, "Test CA"), tlstest.NewCA(t, "Other CA")
	strict, good := peertest.ServeHTTP3(t, "", other, peertest.Everything()), peertest.ServeHTTP3(t, "", ca, peertest.Everything())
	cfg := http3Cluster(t, "c", good, ca)
	cfg.Endpoints = []string{"https://" + strict.Addr + "/mcp", "https://" + good.Addr + "/mcp"}
	cfg.TLS.InsecureSkipVerify = true // the strict one's certificate is of another CA as well
	c := get(t, newSet(t, clusters.Options{}, cfg), "c")
	for range 6 {
		res, err := c.RoundTrip(peertest.Request(t, "POST", "/", "call"))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := peertest.Read(t, res), "HTTP/3.0 POST "+good.Addr+" / call"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestARotatedIdentityKeepsTheStreamOnTheOldQUICConnection(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	server := peertest.ServeHTTP3(t, "", ca, peertest.Everything())
	cfg := http3Cluster(t, "c", server, ca)
	first := prepare(t, nil, clusters.Options{}, cfg)
	first.Commit()
	stream, stop := peertest.Open(t, get(t, first, "c"))
	cfg.TLS = peertest.Identity(t, ca, "new")
	second := prepare(t, first, clusters.Options{}, cfg)
	second.Commit()
	first.Release()
	for range 3 {
		peertest.Fetch(t, get(t, second, "c"), "/")
	}
	if got := server.Seen(); !slices.Equal(got, []string{"the-client", "new"}) {
		t.Errorf("connections showed %v", got)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := io.ReadAll(stream.Body)
		ended <- err
	}()
	if open, _ := server.Connections(); open != 2 {
		t.Errorf("%d connections are open", open)
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the stream ended with %v", err)
	}
	peertest.Eventually(t, "the old connection is closed", func() bool { open, _ := server.Connections(); return open == 1 })
}

func TestAReleasedHTTP3ClusterLeavesNoSocket(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	server := peertest.ServeHTTP3(t, "", ca, peertest.Everything())
	before := peertest.Descriptors(t)
	for range 5 {
		set := newSet(t, clusters.Options{}, http3Cluster(t, "c", server, ca))
		_, stop := peertest.Open(t, get(t, set, "c"))
		peertest.Fetch(t, get(t, set, "c"), "/")
		stop()
		release(t, set)
	}
	peertest.Eventually(t, "all sockets closed", func() bool { open, _ := server.Connections(); return open == 0 && peertest.Descriptors(t) <= before })
}

// http3Cluster is a configuration that reaches the peer.
func http3Cluster(t testing.TB, name string, p *peertest.HTTP3Server, ca *tlstest.CA) clusters.Config {
	t.Helper()
	cfg := cluster(t, name, "https://"+p.Addr+"/mcp")
	cfg.Protocols, cfg.TLS = []string{"h3"}, peertest.Identity(t, ca, "the-client")
	return cfg
}
