package main_test

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

	"github.com/mcpgateway/mcpgateway/tls/acme/acmetest"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// The official SDK calls all the time, while certificates are rotated and the
// listener is redefined. It is told by GOAWAY, comes back on a new connection,
// and the old one ends.
func TestTheSDKSpeaksOverHTTP3AndLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hc, dials := clientOf(t, "h3", w.ca.PEM(), nil)
	c := callOver(t, "echo", &mcp.StreamableClientTransport{Endpoint: w.url("/mcp"), HTTPClient: hc})
	c.more(t, 20)
	if n := len(dials.all()); n != 1 {
		t.Fatalf("%d connections before anything happened", n)
	}
	w.issueServer(t)
	w.mustReload()
	w.issueClient(t, "one", "client one anew")
	w.mustReload()
	c.more(t, 20)
	if n := len(dials.all()); n != 1 {
		t.Errorf("new certificates cost the connection: there are %d", n)
	}
	w.limits = "max_concurrent_streams: 50"
	w.mustApply(w.yaml())
	c.more(t, 20)
	w.eventually("the old connection to end", func() error {
		all := dials.all()
		if len(all) < 2 || all[0].Context().Err() == nil {
			return fmt.Errorf("%d connections, the first goes on", len(all))
		}
		return nil
	})
	if err := context.Cause(dials.all()[0].Context()); !strings.Contains(err.Error(), "0x100") {
		t.Errorf("the old connection ended by %v, not in order", err)
	}
	c.more(t, 20)
	c.stop(t)
	if !strings.Contains(w.logs.String(), `"protocol":"HTTP/3.0"`) {
		t.Error("no request came over HTTP/3")
	}
}

// GOAWAY has the SDK go on elsewhere, long before the drain's timeout, while its
// stream of server messages stays where it is.
func TestTheSDKGoesOnElsewhereAtOnceAfterGOAWAY(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	patient := func() string { return strings.Replace(w.yaml(), "drain: {timeout: 5s", "drain: {timeout: 1h", 1) }
	w.mustApply(patient())
	hc, dials := clientOf(t, "h3", w.ca.PEM(), nil)
	c := callOver(t, "echo", &mcp.StreamableClientTransport{Endpoint: w.url("/mcp"), HTTPClient: hc})
	c.more(t, 20)
	w.limits = "max_concurrent_streams: 50"
	w.mustApply(patient())
	w.eventually("a second connection", func() error {
		if n := len(dials.all()); n < 2 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	c.more(t, 20)
	if all := dials.all(); len(all) != 2 || all[0].Context().Err() != nil {
		t.Errorf("%d connections, and the first ended by %v", len(all), context.Cause(all[0].Context()))
	}
	c.stop(t)
}

// edgeHTTP3 is a gateway on HTTP/3 whose old connections may take their time.
func edgeHTTP3(t *testing.T, env ...string) (*gateway, *tlstest.CA, *plainAPI) {
	t.Helper()
	ca, dir, api := tlstest.NewCA(t, "CA"), shortDir(t), &plainAPI{}
	cert, key := ca.Server(t, "localhost", "127.0.0.1")
	tlstest.WritePair(t, dir, "server", cert, key)
	upstream := httptest.NewServer(api)
	t.Cleanup(upstream.Close)
	return start(t, dir, edgeHTTP3Config(upstream.URL, 100), env...), ca, api
}

func edgeHTTP3Config(upstream string, streams int) string {
	return fmt.Sprintf(`
reload: {watch: false}
drain: {timeout: 30s, close_spread: 50ms}
listeners:
  - name: public
    address: 127.0.0.1:0
    protocols: [http/1.1, h2, h3]
    tls: {certificates: [{cert: server.crt, key: server.key}]}
    limits: {max_concurrent_streams: %d}
routes:
  - {match: {path_prefix: /api}, cluster: api, timeout: 0s}
  - {match: {path: /hello}, respond: {body: "hello"}}
clusters:
  - {name: api, endpoints: ["%s"]}
`, streams, upstream)
}

func TestHTTP3StreamsOutliveRotationAndRedefinition(t *testing.T) {
	t.Parallel()
	ca, dir, api := tlstest.NewCA(t, "CA"), shortDir(t), &plainAPI{}
	issue := func() {
		cert, key := ca.Server(t, "127.0.0.1")
		tlstest.WritePair(t, dir, "server", cert, key)
	}
	issue()
	upstream := httptest.NewServer(api)
	t.Cleanup(upstream.Close)
	config := func(streams int) string {
		return strings.Replace(edgeHTTP3Config(upstream.URL, streams), "drain: {timeout: 30s", "drain: {timeout: 1h", 1)
	}
	g := start(t, dir, config(100))
	base := "https://" + g.address("public")
	hc, firsts := clientOf(t, "h3", ca.PEM(), nil)
	first := open(t, api, base+"/api", "h3", hc)
	issue()
	g.mustReload()
	other, dials := clientOf(t, "h3", ca.PEM(), nil)
	second := open(t, api, base+"/api", "h3", other)
	if got, was := dials.all()[0].ConnectionState().TLS.PeerCertificates[0].SerialNumber, serial(t, g.address("public")); fmt.Sprintf("%X", got) != was {
		t.Errorf("over QUIC the new handshake showed %X, over TCP %s", got, was)
	}
	g.mustApply(config(50))
	g.eventually("GOAWAY to bring a second connection", func() error {
		if _, body, _, err := ask(hc, base+"/hello", ""); err != nil || body != "hello" {
			return fatal{fmt.Errorf("after the redefinition: %q, %w", body, err)}
		}
		if n := len(firsts.all()); n != 2 {
			return fmt.Errorf("there are %d", n)
		}
		return nil
	})
	if err := context.Cause(firsts.all()[0].Context()); err != nil {
		t.Errorf("the first connection has ended, although streams are open on it: %v", err)
	}
	if s := g.status(); len(s.Draining) == 0 {
		t.Error("nothing drains, although streams are open on the old definition")
	}
	first.finish()
	second.finish()
	g.eventually("the old generation to be free", func() error {
		if n := len(g.status().Draining); n > 0 {
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
	here, there := udpSocket(t), udpSocket(t)
	to, err := net.ResolveUDPAddr("udp4", g.address("public"))
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
	o := open(t, api, "https://localhost/api", "h3", hc)
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
	if _, body, _, err := ask(hc, "https://localhost/hello", ""); err != nil || body != "hello" {
		t.Errorf("after the move: %q, %v", body, err)
	}
	o.finish()
}

func udpSocket(t *testing.T) *quic.Transport {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	tr := &quic.Transport{Conn: conn}
	t.Cleanup(func() {
		tr.Close()
		conn.Close()
	})
	return tr
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
	base := "https://" + lossy(t, g.address("public"), &lost)
	hc, _ := clientOf(t, "h3", ca.PEM(), nil)
	o := open(t, api, base+"/api", "h3", hc)
	for n := range 200 {
		if _, body, _, err := ask(hc, base+"/hello", ""); err != nil || body != "hello" {
			t.Fatalf("request %d: %q, %v", n, body, err)
		}
	}
	o.finish()
	if lost.Load() < 5 {
		t.Errorf("only %d packets were lost; the test shows little", lost.Load())
	}
}

// A gateway that was killed cannot say goodbye. The one that takes its place
// tells clients that their connections are gone, as soon as they ask (RFC 9000
// section 10.3), where both have the same state key.
func TestAnotherProcessResetsTheConnectionsOfAKilledOne(t *testing.T) {
	t.Parallel()
	ca, dir := tlstest.NewCA(t, "CA"), shortDir(t)
	cert, key := ca.Server(t, "localhost", "127.0.0.1")
	tlstest.WritePair(t, dir, "server", cert, key)
	writeFile(t, dir, "state.key", []byte(strings.Repeat("k", 32)))
	config := strings.Replace(edgeHTTP3Config("http://127.0.0.1:1", 100), "127.0.0.1:0", fmt.Sprintf("127.0.0.1:%d", acmetest.FreePorts(t, 1)[0]), 1) + "state_key_files: [state.key]\n"
	g := start(t, dir, config)
	hc, dials := clientOf(t, "h3", ca.PEM(), nil)
	url := "https://" + g.address("public") + "/hello"
	if _, _, _, err := ask(hc, url, ""); err != nil {
		t.Fatal(err)
	}
	g.cmd.Process.Kill()
	<-g.done
	start(t, dir, config)
	conn := dials.all()[0]
	_, _, _, _ = ask(hc, url, "") // lost, and answered by the reset
	select {
	case <-conn.Context().Done():
	case <-time.After(10 * time.Second):
	}
	var reset *quic.StatelessResetError
	if err := context.Cause(conn.Context()); !errors.As(err, &reset) {
		t.Errorf("the old connection ended by %v", err)
	}
	if _, body, _, err := ask(hc, url, ""); err != nil || body != "hello" {
		t.Errorf("after the reset: %q, %v", body, err)
	}
}
