package reload_test

import (
	"context"
	cryptotls "crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// Each test here is one row of the table of what a change does to new work,
// and to connections and streams that exist.

func TestAServerCertificateChangesTheNextHandshakeAndNoConnection(t *testing.T) {
	t.Parallel()
	e := harness.NewEdge(t)
	old := e.Dial(e.Address("public"))
	old.Expect("/api", 200, true)
	before := harness.Serial(t, e.Address("public"))
	e.Issue("server", "localhost")
	e.Change()
	if harness.Serial(t, e.Address("public")) == before {
		t.Error("the next handshake showed the old certificate")
	}
	old.Expect("/api", 200, true)
}

func TestClientTrustIsCheckedAgainOnOpenConnections(t *testing.T) {
	t.Parallel()
	other := tlstest.NewCA(t, "Other CA")
	e := harness.NewEdge(t, func(e *harness.Edge) {
		harness.WriteFile(t, e.Dir, "clients.crt", append(e.CA.PEM(), other.PEM()...))
		e.Listener = "client_auth: {mode: require, ca_cert: clients.crt}"
	})
	pair := func(ca *tlstest.CA, cn string) cryptotls.Certificate {
		cert, key := ca.Client(t, cn)
		p, err := cryptotls.X509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	passes, fails := pair(e.CA, "stays"), pair(other, "goes")
	stays, goes := e.Dial(e.Address("public"), passes), e.Dial(e.Address("public"), fails)
	stays.Expect("/api", 200, true)
	goes.Expect("/api", 200, true)

	harness.WriteFile(t, e.Dir, "clients.crt", e.CA.PEM())
	e.Routes = "  - match: {path: /api/new}\n    respond: {status: 204}"
	e.Change()
	stays.Expect("/api/new", 204, true)
	// Within close_spread it is told to go; until then, the generation that
	// it was accepted by serves it, and never the new routes.
	e.Eventually("the refused peer to be told", func() error {
		status, keeps, err := goes.Get("/api/new")
		if err != nil {
			return nil // closed
		}
		if status == 204 {
			return testkit.Fatal(errors.New("the new routes served a peer that they do not trust"))
		}
		if keeps {
			return errors.New("not yet")
		}
		return nil
	})
	c, err := cryptotls.Dial("tcp", e.Address("public"), &cryptotls.Config{InsecureSkipVerify: true, Certificates: []cryptotls.Certificate{fails}})
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
	e := harness.NewEdge(t)
	address := e.Address("public")
	idle := e.Dial(address)
	idle.Expect("/api", 200, true)
	all := []*harness.Opened{harness.Open(t, e.API, e.Base(), "http/1.1", harness.Client(t, e.CA.PEM(), "http/1.1")), harness.Open(t, e.API, e.Base(), "h2", harness.Client(t, e.CA.PEM(), "h2"))}
	e.Listener = "min_version: \"1.3\""
	e.Change()
	if got := e.Address("public"); got != address {
		t.Fatalf("the address is %s now, it was %s", got, address)
	}
	// Told within close_spread: one more request is answered, then it closes.
	e.Eventually("the idle connection to be told", func() error {
		_, stays, err := idle.Get("/api")
		if err != nil {
			return testkit.Fatal(err)
		}
		if stays {
			return errors.New("not yet")
		}
		return nil
	})
	idle.ExpectClosed()
	for _, o := range all {
		o.Finish()
	}
	if _, err := cryptotls.Dial("tcp", address, &cryptotls.Config{InsecureSkipVerify: true, MaxVersion: cryptotls.VersionTLS12}); err == nil {
		t.Error("the new definition is not in force")
	}
	e.Eventually("the drain to end", func() error {
		if d := e.Status().Draining; len(d) > 0 {
			return fmt.Errorf("%+v", d)
		}
		return nil
	})
}

func TestAtDrainTimeoutStreamsEndCleanly(t *testing.T) {
	t.Parallel()
	e := harness.NewEdge(t)
	c := harness.Client(t, e.CA.PEM(), "http/1.1")
	resp, err := c.Get(e.Base() + "/events?name=never")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	ws, _, err := websocket.Dial(context.Background(), "wss"+strings.TrimPrefix(e.Base(), "https")+"/ws", &websocket.DialOptions{HTTPClient: c})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	e.Listener = "min_version: \"1.3\""
	e.Change()
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != "data: first\n\n" {
		t.Errorf("the SSE stream ended with %v after %q", err, body)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, _, err := ws.Read(ctx); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the WebSocket ended with %v, want 1001", err)
	}
	e.API.Release("never")
}

func TestARemovedListenerClosesItsSocketAndDrains(t *testing.T) {
	t.Parallel()
	e := harness.NewEdge(t, func(e *harness.Edge) {
		e.Listeners = "  - {name: second, address: \"127.0.0.1:0\"}"
	})
	address := e.Address("second")
	c := &http.Client{Transport: &http.Transport{}}
	resp, err := c.Get("http://" + address + "/api/events?name=second")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	e.Listeners = ""
	e.Change()
	if c, err := net.Dial("tcp", address); err == nil {
		c.Close()
		t.Error("the socket is still open")
	}
	e.API.Release("second")
	if body, err := io.ReadAll(resp.Body); err != nil || !strings.HasSuffix(string(body), "data: last\n\n") {
		t.Errorf("the stream did not run to its end: %q, %v", body, err)
	}
}

func TestARouteServesTheNextRequestAndLeavesThoseInFlight(t *testing.T) {
	t.Parallel()
	e := harness.NewEdge(t)
	idle := e.Dial(e.Address("public"))
	idle.Expect("/api/x", 200, true)
	all := harness.Open(t, e.API, e.Base(), "http/1.1", harness.Client(t, e.CA.PEM(), "http/1.1"))
	e.Routes = "  - name: first\n    match: {path_prefix: /api}\n    respond: {status: 204}"
	e.Change()
	idle.Expect("/api/x", 204, true)
	all.Finish()
}

func TestUnchangedEndpointsKeepTheirConnections(t *testing.T) {
	t.Parallel()
	e := harness.NewEdge(t)
	c := harness.Client(t, e.CA.PEM(), "http/1.1")
	harness.Get(t, c, e.Base())
	before := e.UpstreamConns()
	for _, s := range []string{
		"headers: {X-Added: \"1\"}", "load_balancing: round_robin", "health_check: {kind: tcp, interval: 1h}",
	} {
		e.Cluster = s
		e.Change()
		if code, _, _ := harness.Get(t, c, e.Base()); code != 200 {
			t.Errorf("%s: %d", s, code)
		}
	}
	// A tcp check opens one connection of its own.
	if n := e.UpstreamConns(); n > before+1 {
		t.Errorf("%d upstream connections, before the changes %d", n, before)
	}
}

func TestCallsToARemovedEndpointFinish(t *testing.T) {
	t.Parallel()
	e := harness.NewEdge(t)
	all := harness.Open(t, e.API, e.Base(), "http/1.1", harness.Client(t, e.CA.PEM(), "http/1.1"))
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "other") }))
	defer other.Close()
	first := e.Upstream
	e.Upstream = other
	e.Change()
	if _, body, _ := harness.Get(t, harness.Client(t, e.CA.PEM(), "http/1.1"), e.Base()); body != "other" {
		t.Errorf("the new endpoint was not asked: %q", body)
	}
	all.Finish()
	e.Upstream = first
}

func TestARotatedIdentityInheritsHealthAndLeavesCallsOnTheOldPool(t *testing.T) {
	t.Parallel()
	var server *harness.StrictServer
	e := harness.NewEdge(t, func(e *harness.Edge) {
		cert, key := e.CA.Server(t, "127.0.0.1")
		server = harness.NewStrictServer(t, "127.0.0.1:0", e.CA.PEM(), cert, key, e.API)
		e.Upstream.Close()
		e.Upstream = &httptest.Server{URL: server.URL, Listener: server.Listener, Config: &http.Server{}}
		cert, key = e.CA.Client(t, "before")
		harness.WriteFile(t, e.Dir, "client.crt", cert)
		harness.WriteFile(t, e.Dir, "client.key", key)
		// Checked at start only: the verdict must come from before.
		e.Cluster = "tls: {ca_cert: ca.crt, client_cert: client.crt, client_key: client.key}\n    health_check: {kind: http, path: /ok, interval: 1h}"
	})
	all := harness.Open(t, e.API, e.Base(), "http/1.1", harness.Client(t, e.CA.PEM(), "http/1.1"))
	server.Seen()
	cert, key := e.CA.Client(t, "after")
	harness.WriteFile(t, e.Dir, "client.crt", cert)
	harness.WriteFile(t, e.Dir, "client.key", key)
	e.Change()
	if err := harness.ClusterHealth(e.Gateway, "api", "healthy"); err != nil {
		t.Errorf("health was not inherited: %v", err)
	}
	if code, body, _ := harness.Get(t, harness.Client(t, e.CA.PEM(), "http/1.1"), e.Base()); code != 200 {
		t.Errorf("%d %s", code, body)
	}
	for _, p := range server.Seen() {
		if p != "after" {
			t.Errorf("a later connection came as %q", p)
		}
	}
	all.Finish()
}

func TestARemovedClusterGivesWayAndItsCallsFinish(t *testing.T) {
	t.Parallel()
	e := harness.NewEdge(t, func(e *harness.Edge) {
		e.Routes = "  - match: {path_prefix: /api/old}\n    cluster: old\n    timeout: 0s"
		e.Clusters = "  - name: old\n    endpoints: [\"" + e.Upstream.URL + "\"]"
	})
	all := harness.Open(t, e.API, "https://"+e.Address("public")+"/api/old", "http/1.1", harness.Client(t, e.CA.PEM(), "http/1.1"))
	e.Routes, e.Clusters = "", ""
	e.Change()
	if code, body, _ := harness.Get(t, harness.Client(t, e.CA.PEM(), "http/1.1"), e.Base()+"/old/x"); code != 200 {
		t.Errorf("the next route does not serve: %d %s", code, body)
	}
	all.Finish()
}

func TestLogAndAdminAreSwappedInPlace(t *testing.T) {
	t.Parallel()
	e := harness.NewEdge(t)
	idle := e.Dial(e.Address("public"))
	idle.Expect("/api", 200, true)
	e.Top = "log: {file: gateway.log, level: debug}"
	e.Change()
	idle.Expect("/api", 200, true)
	e.Eventually("lines in the new file", func() error {
		if !strings.Contains(string(harness.Read(t, e.Dir, "gateway.log")), `"path":"/api"`) {
			return errors.New("none yet")
		}
		return nil
	})
	// logrotate: rename, then SIGUSR1.
	harness.Shell(t, e.Dir, "mv gateway.log gateway.log.1; kill -USR1 "+fmt.Sprint(e.Cmd.Process.Pid))
	e.Eventually("the file to be opened anew", func() error {
		idle.Expect("/api", 200, true)
		if m, _ := filepath.Glob(filepath.Join(e.Dir, "gateway.log")); len(m) == 0 {
			return errors.New("not yet")
		}
		return nil
	})
}
