package harness

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// World is a gateway in front of strict MCP servers, with certificates of one
// CA, and its file in parts that tests edit.
type World struct {
	*Gateway
	CA      *tlstest.CA
	One     *StrictServer
	Two     *StrictServer
	Dir     string
	Limits  string
	Route   string
	Members string
	More    string
	// MCP is added to the route's block mcp.
	MCP string
	// Extra is added to the definition of cluster one.
	Extra string
	Path  string
}

// NewWorld starts two servers, and the gateway with cluster one on /mcp.
func NewWorld(t *testing.T, env ...string) *World { return NewWorldOf(t, "/mcp", Streamable, env...) }

// NewWorldOf does so with servers of another transport.
func NewWorldOf(t *testing.T, path string, transport func(*mcp.Server) http.Handler, env ...string) *World {
	t.Helper()
	w := &World{CA: tlstest.NewCA(t, "Test CA"), Dir: ShortDir(t), Members: "one", Path: path}
	w.One = w.Serve(t, transport(NewTools("one")))
	w.Two = w.Serve(t, transport(NewTools("two")))
	WriteFile(t, w.Dir, "ca.crt", w.CA.PEM())
	w.IssueServer(t)
	w.IssueClient(t, "one", "client one")
	w.IssueClient(t, "two", "client two")
	w.Gateway = Start(t, w.Dir, w.YAML(), env...)
	return w
}

// NewStreamWorld is a world that serves HTTP+SSE and WebSockets too.
func NewStreamWorld(t *testing.T, env ...string) *World {
	w := NewWorld(t, env...)
	w.MCP = ", sse: {path: /sse}, websocket: {path: /ws}"
	w.MustApply(w.YAML())
	return w
}

// URL is that of a path of the gateway.
func (w *World) URL(path string) string { return "https://" + w.Address("public") + path }

// PostMCP sends one message to the gateway, and returns the answer.
func (w *World) PostMCP(t testing.TB, hc *http.Client, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, "https://"+w.Address("public")+"/mcp", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := hc.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(answer)
}

// Serve starts a strict server of this world.
func (w *World) Serve(t *testing.T, h http.Handler) *StrictServer {
	t.Helper()
	cert, key := w.CA.Server(t, "localhost", "127.0.0.1")
	return NewStrictServer(t, "127.0.0.1:0", w.CA.PEM(), cert, key, h)
}

// IssueServer writes a new pair for the gateway's listener.
func (w *World) IssueServer(t testing.TB) {
	cert, key := w.CA.Server(t, "localhost", "127.0.0.1")
	WriteFile(t, w.Dir, "server.crt", cert)
	WriteFile(t, w.Dir, "server.key", key)
}

// IssueClient writes a new pair for a cluster's connections.
func (w *World) IssueClient(t testing.TB, cluster, cn string) {
	cert, key := w.CA.Client(t, cn)
	WriteFile(t, w.Dir, cluster+".crt", cert)
	WriteFile(t, w.Dir, cluster+".key", key)
}

// CloseSpread is the time over which connections of a listener are told to go whose
// definition changes.
const CloseSpread = 100 * time.Millisecond

// YAML is the gateway's file as the parts now say.
func (w *World) YAML() string {
	return fmt.Sprintf(`
reload: {watch: false}
drain: {timeout: 5s, close_spread: %s}
listeners:
  - name: public
    address: 127.0.0.1:0
    protocols: [http/1.1, h2, h3]
    tls: {certificates: [{cert: server.crt, key: server.key}]}
    limits: {%s}
routes:
  - name: tools
    match: {path: /mcp}
    mcp: {clusters: [%s]%s}
%s
  - match: {path: /health}
    health: ready
clusters:
%s
%s`, CloseSpread, w.Limits, w.Members, w.MCP, w.Route, w.Cluster("one", w.One, w.Extra)+w.Cluster("two", w.Two, ""), w.More)
}

// Cluster is the definition of a cluster before s; extra is added to it.
func (w *World) Cluster(name string, s *StrictServer, extra string) string {
	return fmt.Sprintf(`  - name: %s
    endpoints: ["https://127.0.0.1:%s%s"]
    tls: {ca_cert: ca.crt, client_cert: %s.crt, client_key: %s.key}
    health_check: {interval: 100ms, healthy_threshold: 1}
    %s
`, name, s.Port(), w.Path, name, name, extra)
}

// Connect opens a session over Streamable HTTP. tool is called all the time; ""
// for none.
func (w *World) Connect(t testing.TB, tool string) *Caller {
	t.Helper()
	hc := Client(t, w.CA.PEM(), "http/1.1")
	hc.Transport.(*http.Transport).Protocols.SetHTTP2(true)
	c := CallOver(t, tool, &mcp.StreamableClientTransport{Endpoint: "https://" + w.Address("public") + "/mcp", HTTPClient: hc})
	c.hc = hc
	return c
}
