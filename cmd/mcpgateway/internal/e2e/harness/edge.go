package harness

import (
	"bufio"
	cryptotls "crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"

	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// EdgeHTTP3Config is a file whose listener speaks HTTP/3 too; each connection
// may have so many streams at one time.
func EdgeHTTP3Config(upstream string, streams int) string {
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

// Edge is a gateway whose file is a template of parts, before one upstream that
// counts its connections. A test changes parts, and then calls Change.
type Edge struct {
	*Gateway
	CA       *tlstest.CA
	API      *PlainAPI
	Upstream *httptest.Server
	// conns counts what the upstream accepted.
	mu    sync.Mutex
	conns int

	// Listener is added to the TLS of the listener "public", Cluster to the
	// definition of the cluster "api", Routes before the route /api; Listeners and
	// Clusters are further ones, and Top is further sections.
	Listener, Listeners, Routes, Cluster, Clusters, Top string

	// Stderr takes the log instead of the test.
	Stderr *os.File
}

// NewEdge starts one, with the parts that edit has set.
func NewEdge(t *testing.T, edit ...func(*Edge)) *Edge {
	t.Helper()
	e := &Edge{CA: tlstest.NewCA(t, "Test CA"), API: &PlainAPI{}}
	dir := ShortDir(t)
	e.Gateway = &Gateway{T: t, Dir: dir}
	WriteFile(t, dir, "ca.crt", e.CA.PEM())
	e.Issue("server", "localhost", "127.0.0.1")
	e.Upstream = httptest.NewUnstartedServer(e.API)
	e.Upstream.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			e.mu.Lock()
			e.conns++
			e.mu.Unlock()
		}
	}
	e.Upstream.Start()
	t.Cleanup(e.Upstream.Close)
	for _, f := range edit {
		f(e)
	}
	e.Gateway = startTo(t, dir, e.YAML(), e.Stderr)
	return e
}

// Issue writes a new pair of the CA for these names, as file.crt and file.key.
func (e *Edge) Issue(file string, names ...string) {
	cert, key := e.CA.Server(e.T, names...)
	WriteFile(e.T, e.Dir, file+".crt", cert)
	WriteFile(e.T, e.Dir, file+".key", key)
}

// YAML is the gateway's file as the parts now say.
func (e *Edge) YAML() string {
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
`, e.Top, e.Listener, e.Listeners, e.Routes, e.Upstream.URL, e.Cluster, e.Clusters)
}

// Change applies the parts.
func (e *Edge) Change() { e.T.Helper(); e.MustApply(e.YAML()) }

// Base is the URL below which the upstream answers.
func (e *Edge) Base() string { return "https://" + e.Address("public") + "/api" }

// UpstreamConns is how many connections the upstream has accepted.
func (e *Edge) UpstreamConns() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.conns
}

// Dial opens a TLS connection for HTTP/1.1.
func (e *Edge) Dial(address string, certs ...cryptotls.Certificate) *RawConn {
	e.T.Helper()
	c, err := cryptotls.Dial("tcp", address, &cryptotls.Config{InsecureSkipVerify: true, Certificates: certs, NextProtos: []string{"http/1.1"}})
	if err != nil {
		e.T.Fatal(err)
	}
	e.T.Cleanup(func() { c.Close() })
	return &RawConn{e.T, c, bufio.NewReader(c)}
}
