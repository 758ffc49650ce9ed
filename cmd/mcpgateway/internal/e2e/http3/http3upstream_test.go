package http3_test

import (
	cryptotls "crypto/tls"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/quic-go/quic-go/http3"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// strictHTTP3 is an MCP server that speaks nothing but HTTP/3, to clients with a
// certificate of the CA. It notes who connects.
type strictHTTP3 struct {
	address string
	mu      sync.Mutex
	peers   []string
}

func newStrictHTTP3(t *testing.T, ca *tlstest.CA, h http.Handler) *strictHTTP3 {
	t.Helper()
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	cert, key := ca.Server(t, "127.0.0.1")
	s := &strictHTTP3{address: socket.LocalAddr().String()}
	server := &http3.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(connectionless{w}, r) }), TLSConfig: http3.ConfigureTLSConfig(&cryptotls.Config{
		Certificates: []cryptotls.Certificate{tlstest.Certificate(t, cert, key)},
		ClientAuth:   cryptotls.RequireAndVerifyClientCert,
		ClientCAs:    ca.Pool(),
		VerifyConnection: func(cs cryptotls.ConnectionState) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.peers = append(s.peers, cs.PeerCertificates[0].Subject.CommonName)
			return nil
		},
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(socket)
	}()
	t.Cleanup(func() {
		server.Close()
		socket.Close()
		<-done
	})
	return s
}

// connectionless leaves out the field that the SDK's handlers set and HTTP/3
// does not know; net/http does so for HTTP/2, and http3 does not.
type connectionless struct{ http.ResponseWriter }

func (w connectionless) WriteHeader(status int) {
	w.Header().Del("Connection")
	w.ResponseWriter.WriteHeader(status)
}

func (w connectionless) Write(p []byte) (int, error) {
	w.Header().Del("Connection")
	return w.ResponseWriter.Write(p)
}

func (w connectionless) Flush() {
	w.Header().Del("Connection")
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap is for http.ResponseController.
func (w connectionless) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// seen returns who connected since the last call.
func (s *strictHTTP3) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.peers
	s.peers = nil
	return p
}

// Health checks, the opening of a session, calls and what they ask go to a
// server over HTTP/3 with the cluster's certificate, also after a rotation.
func TestMCPServersAreReachedOverHTTP3(t *testing.T) {
	t.Parallel()
	ca, dir := tlstest.NewCA(t, "CA"), harness.ShortDir(t)
	cert, key := ca.Server(t, "127.0.0.1")
	tlstest.WritePair(t, dir, "server", cert, key)
	harness.WriteFile(t, dir, "ca.crt", ca.PEM())
	identity := func(name string) {
		cert, key := ca.Client(t, name)
		tlstest.WritePair(t, dir, "client", cert, key)
	}
	identity("old")
	server := newStrictHTTP3(t, ca, harness.Streamable(harness.NewTools("one")))
	g := harness.Start(t, dir, fmt.Sprintf(`
reload: {watch: false}
listeners:
  - {name: public, address: "127.0.0.1:0", protocols: [http/1.1, h2, h3], tls: {certificates: [{cert: server.crt, key: server.key}]}}
routes:
  - {match: {path: /mcp}, mcp: {clusters: [one]}}
clusters:
  - name: one
    endpoints: ["https://%s/mcp"]
    protocols: [h3]
    tls: {ca_cert: ca.crt, client_cert: client.crt, client_key: client.key}
    health_check: {interval: 100ms, healthy_threshold: 1}
`, server.address))
	if c := g.Status().Clusters[0]; c.Healthy != 1 {
		t.Fatalf("the cluster is not healthy: %+v", c)
	}
	hc, _ := harness.ClientOf(t, "h3", ca.PEM(), nil)
	c := harness.CallOver(t, "echo", &mcp.StreamableClientTransport{Endpoint: "https://" + g.Address("public") + "/mcp", HTTPClient: hc})
	c.More(t, 10)
	identity("new")
	g.MustReload()
	server.mu.Lock()
	before := slices.Clone(server.peers)
	server.mu.Unlock()
	c.More(t, 10)
	c.Stop(t)
	if !slices.Contains(before, "old") || slices.ContainsFunc(before, func(s string) bool { return s != "old" && s != "new" }) {
		t.Errorf("the server saw %v", before)
	}
	g.Eventually("the new identity to come", func() error {
		if peers := server.seen(); !slices.Contains(peers, "new") {
			return fmt.Errorf("%v", peers)
		}
		return nil
	})
}
