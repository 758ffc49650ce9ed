package clusters_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// forwarder passes TCP connections on to a peer. Those that it has silenced are
// still read, so that all is acknowledged, and carry nothing.
type forwarder struct {
	addr string

	mu    sync.Mutex
	conns []*forwarded
}

type forwarded struct {
	client, server net.Conn
	silent         bool // guarded by mu of the forwarder
}

func forward(t testing.TB, to string) *forwarder {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &forwarder{addr: ln.Addr().String()}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				client.Close()
				continue
			}
			c := &forwarded{client: client, server: server}
			f.mu.Lock()
			f.conns = append(f.conns, c)
			f.mu.Unlock()
			work.Go(func() { f.pump(c, server, client) })
			work.Go(func() { f.pump(c, client, server) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		f.mu.Lock()
		for _, c := range f.conns {
			c.client.Close()
			c.server.Close()
		}
		f.mu.Unlock()
		work.Wait()
	})
	return f
}

func (f *forwarder) pump(c *forwarded, to, from net.Conn) {
	defer from.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			f.mu.Lock()
			silent := c.silent
			f.mu.Unlock()
			if !silent {
				to.Close()
			}
			return
		}
		f.mu.Lock()
		silent := c.silent
		f.mu.Unlock()
		if !silent {
			_, _ = to.Write(b[:n])
		}
	}
}

// silence silences the connections that are open.
func (f *forwarder) silence() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.conns {
		c.silent = true
	}
}

func (f *forwarder) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.conns)
}

// streaming answers /stream with a header and no end, and echoes the rest.
func streaming(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/stream" {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		return
	}
	echo(w, r)
}

func TestASilentConnectionIsLeftAfterOneUnansweredPing(t *testing.T) {
	ca := tlstest.NewCA(t, "CA")
	for name, secure := range map[string]*tlstest.CA{"h2": ca, "h2c": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, "", secure, http.HandlerFunc(streaming))
			way := forward(t, server.addr)
			cfg := cluster(t, "c", "http://"+way.addr)
			cfg.Protocols = []string{"h2"}
			if secure != nil {
				cfg = cluster(t, "c", "https://"+way.addr)
				cfg.TLS = identity(t, ca, "client")
			}
			e := get(t, newSet(t, clusters.Options{}, cfg), "c").Endpoints()[0]
			stream, err := e.RoundTrip(request(t, "GET", "/stream", ""))
			if err != nil {
				t.Fatal(err)
			}
			defer stream.Body.Close()
			fetch(t, e, "/")
			if n := way.count(); n != 1 {
				t.Fatalf("%d connections carry two requests", n)
			}
			way.silence()
			attempt := func() error {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				res, err := e.RoundTrip(request(t, "GET", "/", "").WithContext(ctx))
				if err == nil {
					read(t, res)
				}
				return err
			}
			if err := attempt(); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("on the silent connection: %v", err)
			}
			eventually(t, "a request on another connection", func() bool { return attempt() == nil })
			// What was on the dead connection learns of its end.
			if _, err := io.ReadAll(stream.Body); err == nil || errors.Is(err, context.Canceled) {
				t.Errorf("the stream ended with %v", err)
			}
			if n := way.count(); n != 2 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

// The connection of the traffic is dead, the server well: so say the checks.
func TestHealthChecksHaveConnectionsOfTheirOwn(t *testing.T) {
	server := serve(t, "", nil, http.HandlerFunc(echo))
	way := forward(t, server.addr)
	cfg := cluster(t, "c", "http://"+way.addr)
	cfg.Protocols = []string{"h2"}
	cfg.HealthCheck = checks(t, "http")
	cfg.HealthCheck.Interval, cfg.HealthCheck.Timeout, cfg.HealthCheck.UnhealthyThreshold = 10*time.Millisecond, 5*time.Second, 1
	e := get(t, newSet(t, clusters.Options{}, cfg), "c").Endpoints()[0]
	fetch(t, e, "/")
	eventually(t, "healthy", e.Healthy)
	if n := way.count(); n != 2 {
		t.Errorf("%d connections carry the traffic and the checks", n)
	}
}

// A check that meets a dead connection is over with its timeout, and the
// connection soon after.
func TestAHealthCheckLeavesASilentConnection(t *testing.T) {
	server := serve(t, "", nil, http.HandlerFunc(echo))
	way := forward(t, server.addr)
	cfg := cluster(t, "c", "http://"+way.addr)
	cfg.Protocols = []string{"h2"}
	cfg.HealthCheck = checks(t, "http")
	cfg.HealthCheck.Interval, cfg.HealthCheck.Timeout, cfg.HealthCheck.UnhealthyThreshold = 10*time.Millisecond, 500*time.Millisecond, 1
	e := get(t, newSet(t, clusters.Options{}, cfg), "c").Endpoints()[0]
	eventually(t, "healthy", e.Healthy)
	way.silence()
	eventually(t, "a check that fails", e.Unhealthy)
	eventually(t, "checks that succeed on another connection", e.Healthy)
}
