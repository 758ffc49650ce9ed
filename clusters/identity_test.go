package clusters_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// everything is an upstream with a page, a stream, an upgrade, and a page that
// fails at first.
func everything() http.Handler {
	var flaky atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("/", echo)
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "data: 1\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("/flaky", func(w http.ResponseWriter, r *http.Request) {
		if flaky.Add(1)%2 == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/upgrade", func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer c.Close()
		fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_, _ = io.Copy(c, rw)
	})
	return mux
}

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

func upgradeRequest(t testing.TB) *http.Request {
	req := request(t, "GET", "/upgrade", "")
	req.Body, req.GetBody, req.ContentLength = nil, nil, 0
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	return req
}

func TestEveryConnectionShowsTheClientCertificate(t *testing.T) {
	for _, protocols := range [][]string{nil, {"http/1.1"}} {
		for _, kind := range []string{"http", "tcp", "mcp"} {
			t.Run(fmt.Sprint(kind, protocols), func(t *testing.T) {
				ca := tlstest.NewCA(t, "Test CA")
				server := serve(t, "", ca, everything())
				cfg := cluster(t, "strict", "https://"+server.addr+"/mcp")
				cfg.Protocols, cfg.TLS, cfg.HealthCheck = protocols, identity(t, ca, "the-client"), checks(t, kind)
				cfg.HealthCheck.Interval = 5 * time.Millisecond
				cfg.MaxConnectionAge = 30 * time.Millisecond // reconnect now and then
				set := newSet(t, clusters.Options{Prober: pingProber{}}, cfg)
				set.Warm(t.Context())
				c := get(t, set, "strict")
				eventually(t, "healthy", func() bool { return c.Status().Healthy })

				streaming, stop := context.WithCancel(t.Context())
				stream, err := c.RoundTrip(request(t, "GET", "/stream", "").WithContext(streaming))
				if err != nil {
					t.Fatal(err)
				}
				if line, err := bufio.NewReader(stream.Body).ReadString('\n'); err != nil || line != "data: 1\n" {
					t.Fatalf("stream sent %q, %v", line, err)
				}
				for range 10 {
					fetch(t, c, "/call")
				}
				retry := clusters.WithRetry(t.Context(), clusters.RetryPolicy{Attempts: 2, On: []string{"503"}})
				if res, err := c.RoundTrip(request(t, "GET", "/flaky", "").WithContext(retry)); err != nil || res.StatusCode != 200 {
					t.Fatalf("retry: %v, %v", res, err)
				}
				res, err := c.RoundTrip(upgradeRequest(t))
				if err != nil {
					t.Fatal(err)
				}
				talk(t, res)
				eventually(t, "several connections", func() bool { return len(server.seen()) > 3 })
				stop()
				stream.Body.Close()
				for _, name := range server.seen() {
					if strings.TrimSuffix(name, " resumed") != "the-client" {
						t.Errorf("a connection showed %q", name)
					}
				}
			})
		}
	}
}

// talk says something over an upgraded connection and closes it.
func talk(t testing.TB, res *http.Response) {
	t.Helper()
	rwc, ok := res.Body.(io.ReadWriteCloser)
	if res.StatusCode != http.StatusSwitchingProtocols || !ok {
		t.Fatalf("no upgrade: %s, %T", res.Status, res.Body)
	}
	if _, err := io.WriteString(rwc, "hello"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5)
	if _, err := io.ReadFull(rwc, b); err != nil || string(b) != "hello" {
		t.Fatalf("heard %q, %v", b, err)
	}
	if err := rwc.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestClustersOfOneAddressShareNoConnectionAndNoTLSSession(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	server := serve(t, "", ca, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	var cfgs []clusters.Config
	for _, name := range []string{"alice", "bob"} {
		cfg := cluster(t, name, "https://"+server.addr+"/")
		cfg.TLS = identity(t, ca, name)
		// HTTP/1.1, and no connection kept: each call resumes if it can.
		cfg.Protocols, cfg.IdleTimeout = []string{"http/1.1"}, time.Nanosecond
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
	seen := server.seen()
	for _, name := range []string{"alice", "bob"} {
		if i := slices.IndexFunc(seen, func(s string) bool { return strings.HasPrefix(s, name) }); i < 0 || seen[i] != name {
			t.Errorf("the first connection of %s was a resumed one: %v", name, seen)
		}
	}
}

func TestARotatedIdentityIsShownByEveryLaterConnection(t *testing.T) {
	ca := tlstest.NewCA(t, "Test CA")
	server := serve(t, "", ca, everything())
	cfg := cluster(t, "strict", "https://"+server.addr+"/")
	cfg.TLS, cfg.HealthCheck = identity(t, ca, "old"), checks(t, "http")
	first := prepare(t, nil, clusters.Options{}, cfg)
	first.Warm(t.Context()) // connects, so that nothing is half connected below
	first.Commit()
	fetch(t, get(t, first, "strict"), "/")
	oldEndpoint := get(t, first, "strict").Endpoints()[0]

	cfg.TLS = identity(t, ca, "new")
	second := prepare(t, first, clusters.Options{}, cfg)
	second.Commit()
	select {
	case <-oldEndpoint.Retired():
	default:
		t.Error("the endpoint of the old identity was not retired")
	}
	before := len(server.seen())
	fetch(t, get(t, second, "strict"), "/")
	release(t, first)
	if after := server.seen()[before:]; slices.Contains(after, "old") {
		t.Errorf("after the rotation connections showed %v", after)
	}
	eventually(t, "the old connections are closed", func() bool { open, _ := server.connections(); return open == 1 })
}

func TestAStrictServersRefusalSaysWhatToDo(t *testing.T) {
	ca, other := tlstest.NewCA(t, "Test CA"), tlstest.NewCA(t, "Other CA")
	server := serve(t, "", ca, everything())
	none := cluster(t, "none", "https://"+server.addr+"/")
	none.TLS = identity(t, ca, "x")
	none.TLS.ClientCert.Path, none.TLS.ClientKey.Path = "", ""
	wrong := cluster(t, "wrong", "https://"+server.addr+"/")
	wrong.TLS = identity(t, other, "x")
	wrong.TLS.CACert = identity(t, ca, "x").CACert
	plain := cluster(t, "plain", "http://"+server.addr+"/")
	secure := cluster(t, "secure", "https://"+serve(t, "", nil, everything()).addr+"/")
	set := newSet(t, clusters.Options{}, none, wrong, plain, secure)
	for name, want := range map[string]string{
		"none":   "set tls.client_cert and tls.client_key",
		"wrong":  "the server seems to refuse the client certificate",
		"secure": "is it http://?",
	} {
		_, err := get(t, set, name).RoundTrip(request(t, "POST", "/", ""))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "cluster "+name) || !strings.Contains(err.Error(), server.addr[:9]) {
			t.Errorf("%s: %v; want %q", name, err, want)
		}
	}
}
