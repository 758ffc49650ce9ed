package main_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	cryptotls "crypto/tls"

	"github.com/coder/websocket"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// strictServer is an HTTPS server that refuses every handshake without a
// client certificate of its CA, and records who came.
type strictServer struct {
	*httptest.Server
	mu sync.Mutex
	// peers are the common names, connection by connection, in order.
	peers []string
}

// strict starts a server at address ("127.0.0.1:0" for any port).
func strict(t testing.TB, address string, ca, cert, key []byte, h http.Handler) *strictServer {
	t.Helper()
	pair, err := cryptotls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := &strictServer{Server: httptest.NewUnstartedServer(h)}
	s.Listener.Close()
	s.Listener = l
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &cryptotls.Config{
		Certificates: []cryptotls.Certificate{pair},
		ClientAuth:   cryptotls.RequireAndVerifyClientCert,
		ClientCAs:    pool,
		VerifyConnection: func(cs cryptotls.ConnectionState) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.peers = append(s.peers, cs.PeerCertificates[0].Subject.CommonName)
			return nil
		},
	}
	s.StartTLS()
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s
}

// seen returns who connected since the last call.
func (s *strictServer) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.peers
	s.peers = nil
	return p
}

func (s *strictServer) port() string {
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	return port
}

type text struct {
	Text string `json:"text"`
}

// tools is an MCP server with what the tests call. who distinguishes servers.
func tools(who string) *mcp.Server {
	s := mcp.NewServer(&mcp.Implementation{Name: who, Version: "1"}, nil)
	mcp.AddTool(s, &mcp.Tool{Name: "echo", Description: "says it again"}, func(_ context.Context, _ *mcp.CallToolRequest, in text) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: who + ": " + in.Text}}}, nil, nil
	})
	mcp.AddTool(s, &mcp.Tool{Name: "ask", Description: "asks the user"}, func(ctx context.Context, r *mcp.CallToolRequest, in text) (*mcp.CallToolResult, any, error) {
		a, err := r.Session.Elicit(ctx, &mcp.ElicitParams{Message: in.Text})
		if err != nil {
			return nil, nil, err
		}
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: a.Action}}}, nil, nil
	})
	s.AddPrompt(&mcp.Prompt{Name: "greet"}, func(context.Context, *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
		return &mcp.GetPromptResult{Messages: []*mcp.PromptMessage{{Role: "user", Content: &mcp.TextContent{Text: "hello from " + who}}}}, nil
	})
	s.AddResource(&mcp.Resource{Name: "note", URI: "note://" + who}, func(_ context.Context, r *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: r.Params.URI, Text: who}}}, nil
	})
	return s
}

// streamable and sse are the two HTTP transports of that server.
func streamable(s *mcp.Server) http.Handler {
	return mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, nil)
}

func sse(s *mcp.Server) http.Handler {
	return mcp.NewSSEHandler(func(*http.Request) *mcp.Server { return s }, nil)
}

// plainAPI is an HTTP upstream that streams in every way: /events an SSE
// stream that ends when the test says so, /ws a WebSocket that echoes,
// /upload a slow upload answered with its length, /slow a long POST.
type plainAPI struct {
	mu    sync.Mutex
	gates map[string]chan struct{}
}

// gate returns a channel of that name, which the test will close.
func (p *plainAPI) gate(name string) chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gates == nil {
		p.gates = map[string]chan struct{}{}
	}
	if p.gates[name] == nil {
		p.gates[name] = make(chan struct{})
	}
	return p.gates[name]
}

// first reports whether something happens for the first time, and has those
// who wait for gate(name) know.
func (p *plainAPI) first(name string) bool {
	g := p.gate(name)
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-g:
		return false
	default:
		close(g)
		return true
	}
}

// release lets them end.
func (p *plainAPI) release(name string) { close(p.gate(name)) }

func (p *plainAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("name")
	switch {
	case strings.HasSuffix(r.URL.Path, "/events"):
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: first\n\n")
		w.(http.Flusher).Flush()
		select {
		case <-p.gate(name):
			fmt.Fprint(w, "data: last\n\n")
		case <-r.Context().Done():
		}
	case strings.HasSuffix(r.URL.Path, "/ws"):
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			kind, data, err := c.Read(r.Context())
			if err != nil {
				return
			}
			if c.Write(r.Context(), kind, data) != nil {
				return
			}
		}
	case strings.HasSuffix(r.URL.Path, "/upload"):
		p.first("upload " + name)
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			return
		}
		fmt.Fprintf(w, "%d bytes", n)
	case strings.HasSuffix(r.URL.Path, "/slow"):
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		p.first("slow " + name)
		select {
		case <-p.gate(name):
			fmt.Fprintf(w, "done with %s", body)
		case <-r.Context().Done():
		}
	case strings.HasSuffix(r.URL.Path, "/flaky"):
		// Answers 503 to each first try, so that a retry is needed.
		if p.first("flaky " + name) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, "at last")
	default:
		fmt.Fprint(w, "ok")
	}
}
