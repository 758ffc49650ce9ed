package main_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	cryptotls "crypto/tls"

	"github.com/coder/websocket"

	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// Each test here is one row of the table of what a change does to new work,
// and to connections and streams that exist.

// edge is a gateway whose file is a template of parts, before one recording
// upstream.
type edge struct {
	*gateway
	ca       *tlstest.CA
	api      *plainAPI
	upstream *httptest.Server
	// conns counts what the upstream accepted.
	mu    sync.Mutex
	conns int

	listener, listeners, routes, cluster, clusters, top string

	// stderr takes the log instead of the test.
	stderr *os.File
}

func newEdge(t *testing.T, edit ...func(*edge)) *edge {
	t.Helper()
	e := &edge{ca: tlstest.NewCA(t, "Test CA"), api: &plainAPI{}}
	dir := shortDir(t)
	e.gateway = &gateway{t: t, dir: dir}
	writeFile(t, dir, "ca.crt", e.ca.PEM())
	e.issue("server", "localhost", "127.0.0.1")
	e.upstream = httptest.NewUnstartedServer(e.api)
	e.upstream.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			e.mu.Lock()
			e.conns++
			e.mu.Unlock()
		}
	}
	e.upstream.Start()
	t.Cleanup(e.upstream.Close)
	for _, f := range edit {
		f(e)
	}
	e.gateway = startTo(t, dir, e.yaml(), e.stderr)
	return e
}

func (e *edge) issue(file string, names ...string) {
	cert, key := e.ca.Server(e.t, names...)
	writeFile(e.t, e.dir, file+".crt", cert)
	writeFile(e.t, e.dir, file+".key", key)
}

func (e *edge) yaml() string {
	return fmt.Sprintf(`
reload: {watch: false}
drain: {timeout: 1s, close_spread: 50ms}
%s
listeners:
  - name: public
    address: 127.0.0.1:0
    protocols: [http/1.1, h2, h3]
    tls:
      certificates: [{cert: server.crt, key: server.key}]
      %s
%s
routes:
%s
  - match: {path_prefix: /api}
    listeners: [all]
    cluster: api
    timeout: 0s
clusters:
  - name: api
    endpoints: ["%s"]
    %s
%s
`, e.top, e.listener, e.listeners, e.routes, e.upstream.URL, e.cluster, e.clusters)
}

func (e *edge) change() { e.t.Helper(); e.mustApply(e.yaml()) }

func (e *edge) base() string { return "https://" + e.address("public") + "/api" }

func (e *edge) upstreamConns() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.conns
}

func get(t testing.TB, c *http.Client, url string) (int, string, http.Header) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	return resp.StatusCode, string(b), resp.Header
}

// raw is one HTTP/1.1 connection that the test holds in its hands.
type raw struct {
	t testing.TB
	c net.Conn
	r *bufio.Reader
}

func (e *edge) dial(address string, certs ...cryptotls.Certificate) *raw {
	e.t.Helper()
	c, err := cryptotls.Dial("tcp", address, &cryptotls.Config{InsecureSkipVerify: true, Certificates: certs, NextProtos: []string{"http/1.1"}})
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { c.Close() })
	return &raw{e.t, c, bufio.NewReader(c)}
}

// get asks once and returns the status, and whether the connection stays.
func (r *raw) get(path string) (status int, stays bool, err error) {
	r.c.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(r.c, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path)
	resp, err := http.ReadResponse(r.r, nil)
	if err != nil {
		return 0, false, err
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return resp.StatusCode, !resp.Close, nil
}

func (r *raw) expect(path string, status int, stays bool) {
	r.t.Helper()
	s, st, err := r.get(path)
	if err != nil || s != status || st != stays {
		r.t.Errorf("GET %s: %d, the connection stays: %t, %v; want %d, %t", path, s, st, err, status, stays)
	}
}

func (r *raw) expectClosed() {
	r.t.Helper()
	r.c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := r.r.ReadByte(); !errors.Is(err, io.EOF) {
		r.t.Errorf("the connection was not closed: %v", err)
	}
}

func TestAServerCertificateChangesTheNextHandshakeAndNoConnection(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	old := e.dial(e.address("public"))
	old.expect("/api", 200, true)
	before := serial(t, e.address("public"))
	e.issue("server", "localhost")
	e.change()
	if serial(t, e.address("public")) == before {
		t.Error("the next handshake showed the old certificate")
	}
	old.expect("/api", 200, true)
}

func TestClientTrustIsCheckedAgainOnOpenConnections(t *testing.T) {
	t.Parallel()
	other := tlstest.NewCA(t, "Other CA")
	e := newEdge(t, func(e *edge) {
		writeFile(t, e.dir, "clients.crt", append(e.ca.PEM(), other.PEM()...))
		e.listener = "client_auth: {mode: require, ca_cert: clients.crt}"
	})
	pair := func(ca *tlstest.CA, cn string) cryptotls.Certificate {
		cert, key := ca.Client(t, cn)
		p, err := cryptotls.X509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	passes, fails := pair(e.ca, "stays"), pair(other, "goes")
	stays, goes := e.dial(e.address("public"), passes), e.dial(e.address("public"), fails)
	stays.expect("/api", 200, true)
	goes.expect("/api", 200, true)

	writeFile(t, e.dir, "clients.crt", e.ca.PEM())
	e.routes = "  - match: {path: /api/new}\n    respond: {status: 204}"
	e.change()
	stays.expect("/api/new", 204, true)
	// Within close_spread it is told to go; until then, the generation that
	// it was accepted by serves it, and never the new routes.
	e.eventually("the refused peer to be told", func() error {
		status, keeps, err := goes.get("/api/new")
		if err != nil {
			return nil // closed
		}
		if status == 204 {
			return fatal{errors.New("the new routes served a peer that they do not trust")}
		}
		if keeps {
			return errors.New("not yet")
		}
		return nil
	})
	c, err := cryptotls.Dial("tcp", e.address("public"), &cryptotls.Config{InsecureSkipVerify: true, Certificates: []cryptotls.Certificate{fails}})
	if err == nil {
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err = c.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("the next handshake of the refused peer succeeded: %v", err)
		}
		c.Close()
	}
}

func TestAListenersDefinitionChangesBehindTheSameSocket(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	address := e.address("public")
	idle := e.dial(address)
	idle.expect("/api", 200, true)
	all := []*opened{open(t, e.api, e.base(), "http/1.1", client(t, e.ca.PEM(), "http/1.1")), open(t, e.api, e.base(), "h2", client(t, e.ca.PEM(), "h2"))}
	e.listener = "min_version: \"1.3\""
	e.change()
	if got := e.address("public"); got != address {
		t.Fatalf("the address is %s now, it was %s", got, address)
	}
	// Told within close_spread: one more request is answered, then it closes.
	e.eventually("the idle connection to be told", func() error {
		_, stays, err := idle.get("/api")
		if err != nil {
			return fatal{err}
		}
		if stays {
			return errors.New("not yet")
		}
		return nil
	})
	idle.expectClosed()
	for _, o := range all {
		o.finish()
	}
	if _, err := cryptotls.Dial("tcp", address, &cryptotls.Config{InsecureSkipVerify: true, MaxVersion: cryptotls.VersionTLS12}); err == nil {
		t.Error("the new definition is not in force")
	}
	e.eventually("the drain to end", func() error {
		if d := e.status().Draining; len(d) > 0 {
			return fmt.Errorf("%+v", d)
		}
		return nil
	})
}

func TestAtDrainTimeoutStreamsEndCleanly(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	c := client(t, e.ca.PEM(), "http/1.1")
	resp, err := c.Get(e.base() + "/events?name=never")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	ws, _, err := websocket.Dial(context.Background(), "wss"+strings.TrimPrefix(e.base(), "https")+"/ws", &websocket.DialOptions{HTTPClient: c})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	e.listener = "min_version: \"1.3\""
	e.change()
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != "data: first\n\n" {
		t.Errorf("the SSE stream ended with %v after %q", err, body)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, _, err := ws.Read(ctx); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the WebSocket ended with %v, want 1001", err)
	}
	e.api.release("never")
}

func TestARemovedListenerClosesItsSocketAndDrains(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(e *edge) {
		e.listeners = "  - {name: second, address: \"127.0.0.1:0\"}"
	})
	address := e.address("second")
	c := &http.Client{Transport: &http.Transport{}}
	resp, err := c.Get("http://" + address + "/api/events?name=second")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	e.listeners = ""
	e.change()
	if c, err := net.Dial("tcp", address); err == nil {
		c.Close()
		t.Error("the socket is still open")
	}
	e.api.release("second")
	if body, err := io.ReadAll(resp.Body); err != nil || !strings.HasSuffix(string(body), "data: last\n\n") {
		t.Errorf("the stream did not run to its end: %q, %v", body, err)
	}
}

func TestARouteServesTheNextRequestAndLeavesThoseInFlight(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	idle := e.dial(e.address("public"))
	idle.expect("/api/x", 200, true)
	all := open(t, e.api, e.base(), "http/1.1", client(t, e.ca.PEM(), "http/1.1"))
	e.routes = "  - name: first\n    match: {path_prefix: /api}\n    respond: {status: 204}"
	e.change()
	idle.expect("/api/x", 204, true)
	all.finish()
}

func TestUnchangedEndpointsKeepTheirConnections(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	c := client(t, e.ca.PEM(), "http/1.1")
	get(t, c, e.base())
	before := e.upstreamConns()
	for _, s := range []string{
		"headers: {X-Added: \"1\"}", "load_balancing: round_robin", "health_check: {kind: tcp, interval: 1h}",
	} {
		e.cluster = s
		e.change()
		if code, _, _ := get(t, c, e.base()); code != 200 {
			t.Errorf("%s: %d", s, code)
		}
	}
	// A tcp check opens one connection of its own.
	if n := e.upstreamConns(); n > before+1 {
		t.Errorf("%d upstream connections, before the changes %d", n, before)
	}
}

func TestCallsToARemovedEndpointFinish(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	all := open(t, e.api, e.base(), "http/1.1", client(t, e.ca.PEM(), "http/1.1"))
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "other") }))
	defer other.Close()
	first := e.upstream
	e.upstream = other
	e.change()
	if _, body, _ := get(t, client(t, e.ca.PEM(), "http/1.1"), e.base()); body != "other" {
		t.Errorf("the new endpoint was not asked: %q", body)
	}
	all.finish()
	e.upstream = first
}

func TestARotatedIdentityInheritsHealthAndLeavesCallsOnTheOldPool(t *testing.T) {
	t.Parallel()
	var server *strictServer
	e := newEdge(t, func(e *edge) {
		cert, key := e.ca.Server(t, "127.0.0.1")
		server = strict(t, "127.0.0.1:0", e.ca.PEM(), cert, key, e.api)
		e.upstream.Close()
		e.upstream = &httptest.Server{URL: server.URL, Listener: server.Listener, Config: &http.Server{}}
		cert, key = e.ca.Client(t, "before")
		writeFile(t, e.dir, "client.crt", cert)
		writeFile(t, e.dir, "client.key", key)
		// Checked at start only: the verdict must come from before.
		e.cluster = "tls: {ca_cert: ca.crt, client_cert: client.crt, client_key: client.key}\n    health_check: {kind: http, path: /ok, interval: 1h}"
	})
	all := open(t, e.api, e.base(), "http/1.1", client(t, e.ca.PEM(), "http/1.1"))
	server.seen()
	cert, key := e.ca.Client(t, "after")
	writeFile(t, e.dir, "client.crt", cert)
	writeFile(t, e.dir, "client.key", key)
	e.change()
	if err := clusterHealth(e.gateway, "api", "healthy"); err != nil {
		t.Errorf("health was not inherited: %v", err)
	}
	if code, body, _ := get(t, client(t, e.ca.PEM(), "http/1.1"), e.base()); code != 200 {
		t.Errorf("%d %s", code, body)
	}
	for _, p := range server.seen() {
		if p != "after" {
			t.Errorf("a later connection came as %q", p)
		}
	}
	all.finish()
}

func TestARemovedClusterGivesWayAndItsCallsFinish(t *testing.T) {
	t.Parallel()
	e := newEdge(t, func(e *edge) {
		e.routes = "  - match: {path_prefix: /api/old}\n    cluster: old\n    timeout: 0s"
		e.clusters = "  - name: old\n    endpoints: [\"" + e.upstream.URL + "\"]"
	})
	all := open(t, e.api, "https://"+e.address("public")+"/api/old", "http/1.1", client(t, e.ca.PEM(), "http/1.1"))
	e.routes, e.clusters = "", ""
	e.change()
	if code, body, _ := get(t, client(t, e.ca.PEM(), "http/1.1"), e.base()+"/old/x"); code != 200 {
		t.Errorf("the next route does not serve: %d %s", code, body)
	}
	all.finish()
}

func TestLogAndAdminAreSwappedInPlace(t *testing.T) {
	t.Parallel()
	e := newEdge(t)
	idle := e.dial(e.address("public"))
	idle.expect("/api", 200, true)
	e.top = "log: {file: gateway.log, level: debug}"
	e.change()
	idle.expect("/api", 200, true)
	e.eventually("lines in the new file", func() error {
		if !strings.Contains(string(read(t, e.dir, "gateway.log")), `"path":"/api"`) {
			return errors.New("none yet")
		}
		return nil
	})
	// logrotate: rename, then SIGUSR1.
	sh(t, e.dir, "mv gateway.log gateway.log.1; kill -USR1 "+fmt.Sprint(e.cmd.Process.Pid))
	e.eventually("the file to be opened anew", func() error {
		idle.expect("/api", 200, true)
		if m, _ := filepath.Glob(filepath.Join(e.dir, "gateway.log")); len(m) == 0 {
			return errors.New("not yet")
		}
		return nil
	})
}
