package upstream

import (
	cryptotls "crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

func TestListeningGoesOnWhereItBrokeOff(t *testing.T) {
	f := newFake(t)
	var last []string
	f.get = func(w http.ResponseWriter, r *http.Request) {
		last = append(last, r.Header.Get(spec.HeaderLastEventID))
		if n := len(last); n < 4 {
			stream(w, "id: %d\nretry: 0\ndata: %s\n\n", n, jsonrpc.NewNotification(fmt.Sprintf("n%d", n), nil))
			if n == 2 {
				panic(http.ErrAbortHandler)
			}
			return
		}
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
	c, e := cluster(t, at(f.URL))
	s := mustOpen(t, c, e)
	s.StartListening()
	for n := 1; n < 4; n++ {
		if m := <-s.messages; m.Method() != fmt.Sprintf("n%d", n) {
			t.Errorf("got %s, want n%d", m.Raw(), n)
		}
	}
	testkit.Eventually(t, "the 405 ends the listening", func() bool { return len(f.seen(http.MethodGet)) == 4 })
	s.Close(t.Context())
	if want := []string{"", "1", "2", "3"}; fmt.Sprint(last) != fmt.Sprint(want) {
		t.Errorf("Last-Event-ID %q, want %q", last, want)
	}
	if s.Err() != nil {
		t.Errorf("the session was lost: %v", s.Err())
	}
}

func TestListenerNoticesThatTheSessionIsLost(t *testing.T) {
	f := newFake(t)
	var gets atomic.Int64
	f.get = func(w http.ResponseWriter, r *http.Request) {
		if gets.Add(1) > 1 {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		stream(w, "retry: 0\n\n")
	}
	c, e := cluster(t, at(f.URL))
	s := mustOpen(t, c, e)
	s.StartListening()
	select {
	case <-s.Done():
	case <-t.Context().Done():
	}
	if !errors.Is(s.Err(), ErrSessionLost) {
		t.Errorf("the session ended with %v", s.Err())
	}

	// Without a stream to begin with, 404 says that there is none.
	s = mustOpen(t, c, e)
	s.StartListening()
	testkit.Eventually(t, "the server is asked", func() bool { return len(f.seen(http.MethodGet)) == 3 })
	s.Close(t.Context())
	if s.Err() != nil {
		t.Errorf("the session was lost: %v", s.Err())
	}
}

func TestRebind(t *testing.T) {
	ca := tlstest.NewCA(t, "Other CA")
	h := newHangs()
	p := strictPeer(t, "http/1.1", streamableHandler(newServer(h), nil))
	cert, key := ca.Client(t, "rotated")
	// Both CAs are trusted, so that the certificate can rotate to the other.
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(p.client.CACert.Data)
	pool.AddCert(ca.Cert)
	p.TLS.GetConfigForClient = func(*cryptotls.ClientHelloInfo) (*cryptotls.Config, error) {
		cfg := p.TLS.Clone()
		cfg.GetConfigForClient, cfg.ClientCAs = nil, pool
		return cfg, nil
	}

	before := clusterSet(t, nil, p.at("/mcp"))
	c, _ := before.Get("peer")
	s := mustOpen(t, c, c.Endpoints()[0])
	s.StartListening()
	testkit.Eventually(t, "the session listens", func() bool { return p.count(http.MethodGet) == 1 })
	answered := make(chan string)
	go func() { answered <- s.mustTool("hang", `{}`, nil) }()
	<-h.began

	rotated := *p.client
	rotated.ClientCert = config.File{Path: "/client.crt", Data: cert}
	rotated.ClientKey = config.Secret{File: config.File{Path: "/client.key", Data: key}}
	after := clusterSet(t, before, func(c *clusters.Config) { p.at("/mcp")(c); c.TLS = &rotated })
	c, _ = after.Get("peer")
	e := c.Endpoints()[0]
	<-s.Endpoint().Retired()
	if first, again := s.Rebind(e), s.Rebind(e); !first || !again || s.Endpoint() != e {
		t.Fatal("the session did not move")
	}
	before.Release()

	if got := s.mustTool("echo", `{"text":"x"}`, nil); got != "x" {
		t.Errorf("echo: %q", got)
	}
	if seen := p.seen(); seen["rotated"] == 0 {
		t.Errorf("the clients seen are %v", seen)
	}
	if n := p.count(http.MethodGet); n != 1 {
		t.Errorf("the stream that was open did not stay: %d GETs", n)
	}
	close(h.release)
	if got := <-answered; got != "hung" {
		t.Errorf("the call under way: %q", got)
	}

	_, other := cluster(t, at("http://127.0.0.1:1/"))
	if s.Rebind(other) {
		t.Error("the session moved to another endpoint")
	}
	s.Close(t.Context())
	if s.Rebind(e) {
		t.Error("a closed session moved")
	}
}

func TestRebindWakesTheListener(t *testing.T) {
	f := newFake(t)
	f.get = func(w http.ResponseWriter, _ *http.Request) {
		if len(f.seen(http.MethodGet)) == 1 {
			stream(w, "retry: 3600000\n\n")
			return
		}
		w.WriteHeader(http.StatusNotFound)
	}
	before := clusterSet(t, nil, at(f.URL))
	c, _ := before.Get("peer")
	s := mustOpen(t, c, c.Endpoints()[0])
	s.StartListening()
	testkit.Eventually(t, "the first stream", func() bool { return len(f.seen(http.MethodGet)) == 1 })
	after := clusterSet(t, before, func(c *clusters.Config) { at(f.URL)(c); c.ConnectTimeout = time.Minute })
	c, _ = after.Get("peer")
	if !s.Rebind(c.Endpoints()[0]) {
		t.Fatal("the session did not move")
	}
	testkit.Eventually(t, "a stream over the new pool", func() bool { return len(f.seen(http.MethodGet)) == 2 })
}
