package routes

import (
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

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sections are the parts of the file that routes need.
type sections struct {
	Routes    []Config           `yaml:"routes"`
	Clusters  []clusters.Config  `yaml:"clusters"`
	Listeners []listeners.Config `yaml:"listeners"`
}

// load reads YAML as the gateway would.
func load(t testing.TB, yaml string) (*sections, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	var s sections
	_, err := config.Load(context.Background(), path, config.Options{RetryFor: -1}, &s)
	return &s, err
}

// gateway serves routes on a loopback listener.
type gateway struct {
	t      testing.TB
	addr   string
	server *listeners.Server
	socket *listeners.Socket
	client *http.Client

	mu      sync.Mutex
	entries []filter.Entry
	logged  chan struct{} // a value for each entry
}

// start runs a gateway. %s in the YAML are filled by args.
func start(t testing.TB, yaml string, args ...any) *gateway {
	t.Helper()
	yaml = fmt.Sprintf(yaml, args...)
	if !strings.Contains(yaml, "listeners:\n") {
		yaml += "\nlisteners: [{name: test, address: '127.0.0.1:0'}]\n"
	}
	s, err := load(t, yaml)
	if err != nil {
		t.Fatalf("loading: %v\n%s", err, yaml)
	}
	set, err := clusters.NewSet(s.Clusters, nil, clusters.Options{})
	if err != nil {
		t.Fatalf("clusters: %v", err)
	}
	set.Warm(context.Background())
	set.Commit()
	t.Cleanup(func() {
		set.Release()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := set.Wait(ctx); err != nil {
			t.Errorf("clusters do not end: %v", err)
		}
	})
	rt, err := NewRouter(s.Routes, Deps{Clusters: set})
	if err != nil {
		t.Fatalf("routes: %v", err)
	}
	t.Cleanup(rt.Close)
	g := &gateway{t: t, logged: make(chan struct{}, 1000)}
	sockets := listeners.NewSockets(nil)
	g.socket, err = sockets.Bind(s.Listeners[0].Address)
	if err != nil {
		t.Fatalf("bind: %v", err)
	}
	g.server = listeners.NewServer(&s.Listeners[0], nil, filter.AccessLog(rt.Handler("test"), g.log), nil)
	g.socket.Serve(g.server)
	g.addr = g.socket.Addr().String()
	transport := &http.Transport{DisableCompression: true}
	g.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		sockets.Close()
		g.server.Close()
		<-g.server.Done()
	})
	return g
}

func (g *gateway) log(e *filter.Entry) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.entries = append(g.entries, *e)
	g.logged <- struct{}{}
}

// entry waits for the next line of the access log.
func (g *gateway) entry() filter.Entry {
	g.t.Helper()
	select {
	case <-g.logged:
	case <-time.After(10 * time.Second):
		g.t.Fatal("no line in the access log")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	e := g.entries[0]
	g.entries = g.entries[1:]
	return e
}

func (g *gateway) url(path string) string { return "http://" + g.addr + path }

// reply is a whole response.
type reply struct {
	*http.Response
	body string
}

// do sends a request; fields are header names and values in turn.
func (g *gateway) do(method, path string, body io.Reader, fields ...string) reply {
	g.t.Helper()
	req, err := http.NewRequest(method, g.url(path), body)
	if err != nil {
		g.t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		if fields[i] == "Host" {
			req.Host = fields[i+1]
			continue
		}
		req.Header.Add(fields[i], fields[i+1])
	}
	resp, err := g.client.Do(req)
	if err != nil {
		g.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatalf("%s %s: body: %v", method, path, err)
	}
	return reply{resp, string(b)}
}

func (g *gateway) get(path string, fields ...string) reply {
	g.t.Helper()
	return g.do(http.MethodGet, path, nil, fields...)
}

// raw sends bytes and returns all that comes back until the connection ends.
func (g *gateway) raw(request string) string {
	g.t.Helper()
	c := g.dial()
	if _, err := io.WriteString(c, request); err != nil {
		g.t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil && (len(b) == 0 || errors.Is(err, os.ErrDeadlineExceeded)) {
		g.t.Fatalf("reading: %v (got %q)", err, b)
	}
	return string(b) // net/http resets what it refuses to read
}

// dial opens a connection that lasts for the test, and 10s at most.
func (g *gateway) dial() net.Conn {
	g.t.Helper()
	c, err := net.Dial("tcp", g.addr)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		g.t.Fatal(err)
	}
	return c
}

// upstream starts an HTTP/1.1 server and returns its URL.
func upstream(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// upstreamH2C starts a server that speaks only HTTP/2, on plain text.
func upstreamH2C(t testing.TB, h http.Handler) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

// h2c is a client that speaks only HTTP/2, on plain text.
func h2c(t testing.TB) *http.Client {
	tr := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true}
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// proxied is a gateway with one route to one upstream.
func proxied(t testing.TB, h http.HandlerFunc, settings ...string) *gateway {
	t.Helper()
	return start(t, "routes: [{match: {path_prefix: /}, cluster: up%s}]\nclusters: [{name: up, endpoints: ['%s']}]",
		strings.Join(append([]string{""}, settings...), ", "), upstream(t, h))
}

func writeFile(t testing.TB, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// hmacToken is a token for the audience a.
func hmacToken(t testing.TB, secret string) string {
	t.Helper()
	s, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "alice", "aud": "a", "exp": time.Now().Add(time.Hour).Unix()}).SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return s
}
