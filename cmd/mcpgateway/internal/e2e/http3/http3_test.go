package http3_test

import (
	"context"
	cryptotls "crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// The official SDK calls all the time, while certificates are rotated and the
// listener is redefined. It is told by GOAWAY, comes back on a new connection,
// and the old one ends.
func TestTheSDKSpeaksOverHTTP3AndLosesNothing(t *testing.T) {
	t.Parallel()
	w := harness.NewWorld(t)
	hc, dials := harness.ClientOf(t, "h3", w.CA.PEM(), nil)
	c := harness.CallOver(t, "echo", &mcp.StreamableClientTransport{Endpoint: w.URL("/mcp"), HTTPClient: hc})
	c.More(t, 20)
	if n := len(dials.All()); n != 1 {
		t.Fatalf("%d connections before anything happened", n)
	}
	w.IssueServer(t)
	w.MustReload()
	w.IssueClient(t, "one", "client one anew")
	w.MustReload()
	c.More(t, 20)
	if n := len(dials.All()); n != 1 {
		t.Errorf("new certificates cost the connection: there are %d", n)
	}
	w.Limits = "max_concurrent_streams: 50"
	w.MustApply(w.YAML())
	c.More(t, 20)
	w.Eventually("the old connection to end", func() error {
		all := dials.All()
		if len(all) < 2 || all[0].Context().Err() == nil {
			return fmt.Errorf("%d connections, the first goes on", len(all))
		}
		return nil
	})
	if err := context.Cause(dials.All()[0].Context()); !strings.Contains(err.Error(), "0x100") {
		t.Errorf("the old connection ended by %v, not in order", err)
	}
	c.More(t, 20)
	c.Stop(t)
	if !strings.Contains(w.Logs.String(), `"protocol":"HTTP/3.0"`) {
		t.Error("no request came over HTTP/3")
	}
}

// GOAWAY has the SDK go on elsewhere, long before the drain's timeout, while its
// stream of server messages stays where it is.
func TestTheSDKGoesOnElsewhereAtOnceAfterGOAWAY(t *testing.T) {
	t.Parallel()
	w := harness.NewWorld(t)
	patient := func() string { return strings.Replace(w.YAML(), "drain: {timeout: 5s", "drain: {timeout: 1h", 1) }
	w.MustApply(patient())
	hc, dials := harness.ClientOf(t, "h3", w.CA.PEM(), nil)
	c := harness.CallOver(t, "echo", &mcp.StreamableClientTransport{Endpoint: w.URL("/mcp"), HTTPClient: hc})
	c.More(t, 20)
	w.Limits = "max_concurrent_streams: 50"
	w.MustApply(patient())
	w.Eventually("a second connection", func() error {
		if n := len(dials.All()); n < 2 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	c.More(t, 20)
	if all := dials.All(); len(all) != 2 || all[0].Context().Err() != nil {
		t.Errorf("%d connections, and the first ended by %v", len(all), context.Cause(all[0].Context()))
	}
	c.Stop(t)
}

// edgeHTTP3 is a gateway on HTTP/3 whose old connections may take their time.
func edgeHTTP3(t *testing.T, env ...string) (*harness.Gateway, *tlstest.CA, *harness.PlainAPI) {
	t.Helper()
	ca, dir, api := tlstest.NewCA(t, "CA"), harness.ShortDir(t), &harness.PlainAPI{}
	cert, key := ca.Server(t, "localhost", "127.0.0.1")
	tlstest.WritePair(t, dir, "server", cert, key)
	upstream := httptest.NewServer(api)
	t.Cleanup(upstream.Close)
	return harness.Start(t, dir, harness.EdgeHTTP3Config(upstream.URL, 100), env...), ca, api
}

func TestHTTP3StreamsOutliveRotationAndRedefinition(t *testing.T) {
	t.Parallel()
	ca, dir, api := tlstest.NewCA(t, "CA"), harness.ShortDir(t), &harness.PlainAPI{}
	issue := func() {
		cert, key := ca.Server(t, "127.0.0.1")
		tlstest.WritePair(t, dir, "server", cert, key)
	}
	issue()
	upstream := httptest.NewServer(api)
	t.Cleanup(upstream.Close)
	config := func(streams int) string {
		return strings.Replace(harness.EdgeHTTP3Config(upstream.URL, streams), "drain: {timeout: 30s", "drain: {timeout: 1h", 1)
	}
	g := harness.Start(t, dir, config(100))
	base := "https://" + g.Address("public")
	hc, firsts := harness.ClientOf(t, "h3", ca.PEM(), nil)
	first := harness.Open(t, api, base+"/api", "h3", hc)
	issue()
	g.MustReload()
	other, dials := harness.ClientOf(t, "h3", ca.PEM(), nil)
	second := harness.Open(t, api, base+"/api", "h3", other)
	if got, was := dials.All()[0].ConnectionState().TLS.PeerCertificates[0].SerialNumber, harness.Serial(t, g.Address("public")); fmt.Sprintf("%X", got) != was {
		t.Errorf("over QUIC the new handshake showed %X, over TCP %s", got, was)
	}
	g.MustApply(config(50))
	g.Eventually("GOAWAY to bring a second connection", func() error {
		if _, body, _, err := harness.Ask(hc, base+"/hello", ""); err != nil || body != "hello" {
			return testkit.Fatal(fmt.Errorf("after the redefinition: %q, %w", body, err))
		}
		if n := len(firsts.All()); n != 2 {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})
	if err := context.Cause(firsts.All()[0].Context()); err != nil {
		t.Errorf("the first connection has ended, although streams are open on it: %v", err)
	}
	if s := g.Status(); len(s.Draining) == 0 {
		t.Error("nothing drains, although streams are open on the old definition")
	}
	first.Finish()
	second.Finish()
	g.Eventually("the old generation to be free", func() error {
		if n := len(g.Status().Draining); n > 0 {
			return fmt.Errorf("%d drain", n)
		}
		return nil
	})
}

// A client that moves from one network to another keeps its connection and the
// streams on it (RFC 9000 section 9).
func TestAnHTTP3ClientMayMove(t *testing.T) {
	t.Parallel()
	g, ca, api := edgeHTTP3(t)
	here, there := harness.UDPSocket(t), harness.UDPSocket(t)
	to, err := net.ResolveUDPAddr("udp4", g.Address("public"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn, err := here.Dial(ctx, to, &cryptotls.Config{RootCAs: ca.Pool(), ServerName: "localhost", NextProtos: []string{"h3"}}, &quic.Config{})
	if err != nil {
		t.Fatal(err)
	}
	hc := &http.Client{Transport: (&http3.Transport{}).NewClientConn(conn)}
	o := harness.Open(t, api, "https://localhost/api", "h3", hc)
	path, err := conn.AddPath(there)
	if err != nil {
		t.Fatal(err)
	}
	if err := path.Probe(ctx); err != nil {
		t.Fatal(err)
	}
	if err := path.Switch(); err != nil {
		t.Fatal(err)
	}
	if _, body, _, err := harness.Ask(hc, "https://localhost/hello", ""); err != nil || body != "hello" {
		t.Errorf("after the move: %q, %v", body, err)
	}
	o.Finish()
}

// lossy passes packets both ways between one client and to, and loses every
// twentieth, by chance. It returns the address to send to.
func lossy(t *testing.T, to string, lost *atomic.Int64) string {
	t.Helper()
	server, err := net.Dial("udp4", to)
	if err != nil {
		t.Fatal(err)
	}
	front, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	t.Cleanup(func() {
		server.Close()
		front.Close()
		running.Wait()
	})
	var client atomic.Pointer[net.UDPAddr]
	lose := func() bool {
		if rand.N(20) > 0 {
			return false
		}
		lost.Add(1)
		return true
	}
	running.Go(func() {
		buf := make([]byte, 64<<10)
		for {
			n, from, err := front.ReadFromUDP(buf)
			if err != nil {
				return
			}
			client.Store(from)
			if !lose() {
				_, _ = server.Write(buf[:n])
			}
		}
	})
	running.Go(func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if err != nil {
				return
			}
			if at := client.Load(); at != nil && !lose() {
				_, _ = front.WriteToUDP(buf[:n], at)
			}
		}
	})
	return front.LocalAddr().String()
}

func TestHTTP3EnduresLoss(t *testing.T) {
	t.Parallel()
	g, ca, api := edgeHTTP3(t)
	var lost atomic.Int64
	base := "https://" + lossy(t, g.Address("public"), &lost)
	hc, _ := harness.ClientOf(t, "h3", ca.PEM(), nil)
	o := harness.Open(t, api, base+"/api", "h3", hc)
	for n := range 200 {
		if _, body, _, err := harness.Ask(hc, base+"/hello", ""); err != nil || body != "hello" {
			t.Fatalf("request %d: %q, %v", n, body, err)
		}
	}
	o.Finish()
	if lost.Load() < 5 {
		t.Errorf("only %d packets were lost; the test shows little", lost.Load())
	}
}

// A gateway that was killed cannot say goodbye. The one that takes its place
// tells clients that their connections are gone, as soon as they ask (RFC 9000
// section 10.3), where both have the same state key.
func TestAnotherProcessResetsTheConnectionsOfAKilledOne(t *testing.T) {
	t.Parallel()
	ca, dir := tlstest.NewCA(t, "CA"), harness.ShortDir(t)
	cert, key := ca.Server(t, "localhost", "127.0.0.1")
	tlstest.WritePair(t, dir, "server", cert, key)
	harness.WriteFile(t, dir, "state.key", []byte(strings.Repeat("k", 32)))
	config := strings.Replace(harness.EdgeHTTP3Config("http://127.0.0.1:1", 100), "127.0.0.1:0", fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t)), 1) + "state_key_files: [state.key]\n"
	g := harness.Start(t, dir, config)
	hc, dials := harness.ClientOf(t, "h3", ca.PEM(), nil)
	url := "https://" + g.Address("public") + "/hello"
	if _, _, _, err := harness.Ask(hc, url, ""); err != nil {
		t.Fatal(err)
	}
	g.Cmd.Process.Kill()
	<-g.Done
	harness.Start(t, dir, config)
	conn := dials.All()[0]
	_, _, _, _ = harness.Ask(hc, url, "") // lost, and answered by the reset
	select {
	case <-conn.Context().Done():
	case <-time.After(10 * time.Second):
	}
	var reset *quic.StatelessResetError
	if err := context.Cause(conn.Context()); !errors.As(err, &reset) {
		t.Errorf("the old connection ended by %v", err)
	}
	if _, body, _, err := harness.Ask(hc, url, ""); err != nil || body != "hello" {
		t.Errorf("after the reset: %q, %v", body, err)
	}
}
