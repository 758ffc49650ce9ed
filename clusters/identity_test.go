package clusters_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/clusters/peertest"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// pingProber makes probes that GET / through the endpoint.
type pingProber struct{}

type pingProbe struct{ e *clusters.Endpoint }

func (pingProber) NewProbe(_ *clusters.Cluster, e *clusters.Endpoint) clusters.Probe {
	return pingProbe{e}
}

func (p pingProbe) Check(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, "POST", "http://ignored/probe", strings.NewReader("{}"))
	if err != nil {
		return err
	}
	res, err := p.e.RoundTrip(req)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

func (pingProbe) Close(context.Context) {}

func TestEveryConnectionShowsTheClientCertificate(t *testing.T) {
	for _, protocols := range [][]string{nil, {"http/1.1"}} {
		for kind := range clusters.Kinds() {
			t.Run(fmt.Sprint(kind, protocols), func(t *testing.T) {
				ca := tlstest.NewCA(t, "Test CA")
				server := peertest.Serve(t, "", ca, peertest.Everything())
				cfg := cluster(t, "strict", "https://"+server.Addr+"/mcp")
				cfg.Protocols, cfg.TLS, cfg.HealthCheck = protocols, peertest.Identity(t, ca, "the-client"), checks(t, kind)
				cfg.HealthCheck.Interval = 5 * time.Millisecond
				cfg.MaxConnectionAge = 30 * time.Millisecond // reconnect now and then
				set := prepare(t, nil, clusters.Options{Probers: map[string]clusters.Prober{kind: pingProber{}}}, cfg)
				set.Warm(t.Context())
				c := get(t, set, "strict")
				if !c.Endpoints()[0].Healthy() || kind != "tcp" && len(server.Seen()) == 0 {
					t.Fatalf("before the commit checks found %+v over %d connections", c.Endpoints()[0].Status(), len(server.Seen()))
				}
				set.Commit()

				streaming, stop := context.WithCancel(t.Context())
				stream, err := c.RoundTrip(peertest.Request(t, "GET", "/stream", "").WithContext(streaming))
				if err != nil {
					t.Fatal(err)
				}
				if line, err := bufio.NewReader(stream.Body).ReadString('\n'); err != nil || line != "data: 1\n" {
					t.Fatalf("stream sent %q, %v", line, err)
				}
				for range 10 {
					peertest.Fetch(t, c, "/call")
				}
				retry := clusters.WithRetry(t.Context(), clusters.RetryPolicy{Attempts: 2, On: []string{"503"}})
				if res, err := c.RoundTrip(peertest.Request(t, "GET", "/flaky", "").WithContext(retry)); err != nil || res.StatusCode != 200 {
					t.Fatalf("retry: %v, %v", res, err)
				}
				res, err := c.RoundTrip(peertest.UpgradeRequest(t))
				if err != nil {
					t.Fatal(err)
				}
				peertest.Talk(t, res)
				peertest.Eventually(t, "several connections", func() bool { return len(server.Seen()) > 3 })
				stop()
				stream.Body.Close()
				for _, name := range server.Seen() {
					if strings.TrimSuffix(name, " resumed") != "the-client" {
						t.Errorf("a connection showed %q", name)
					}
				}
			})
		}
	}
}

func TestClustersOfOneAddressShareNoConnectionAndNoTLSSession(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	server := peertest.Serve(t, "", ca, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	var cfgs []clusters.Config
	for _, name := range []string{"alice", "bob"} {
		cfg := cluster(t, name, "https://"+server.Addr+"/")
		cfg.TLS = peertest.Identity(t, ca, name)
		// HTTP/1.1, and no connection kept: each call resumes if it can.
		cfg.Protocols, cfg.IdleTimeout = []string{"http/1.1"}, time.Nanosecond
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
	seen := server.Seen()
	for _, name := range []string{"alice", "bob"} {
		if i := slices.IndexFunc(seen, func(s string) bool { return strings.HasPrefix(s, name) }); i < 0 || seen[i] != name {
			t.Errorf("the first connection of %s was a resumed one: %v", name, seen)
		}
	}
}

func TestARotatedIdentityIsShownByEveryLaterConnection(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	server := peertest.Serve(t, "", ca, peertest.Everything())
	cfg := cluster(t, "strict", "https://"+server.Addr+"/")
	cfg.TLS, cfg.HealthCheck = peertest.Identity(t, ca, "old"), checks(t, "http")
	first := prepare(t, nil, clusters.Options{}, cfg)
	first.Warm(t.Context()) // connects, so that nothing is half connected below
	first.Commit()
	peertest.Fetch(t, get(t, first, "strict"), "/")
	oldEndpoint := get(t, first, "strict").Endpoints()[0]

	cfg.TLS = peertest.Identity(t, ca, "new")
	second := prepare(t, first, clusters.Options{}, cfg)
	second.Commit()
	select {
	case <-oldEndpoint.Retired():
	default:
		t.Error("the endpoint of the old identity was not retired")
	}
	before := len(server.Seen())
	peertest.Fetch(t, get(t, second, "strict"), "/")
	release(t, first)
	if after := server.Seen()[before:]; slices.Contains(after, "old") {
		t.Errorf("after the rotation connections showed %v", after)
	}
	peertest.Eventually(t, "the old connections are closed", func() bool { open, _ := server.Connections(); return open == 1 })
}
