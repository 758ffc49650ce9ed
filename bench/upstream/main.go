// Command upstream is the server that the benchmark measures against: a JSON
// document at /json, a stream of events at /events that does not end, and an MCP
// server at /mcp, under strict mutual TLS, on
// several addresses at once. It prints one address a line and then serves until
// its standard input closes.
package main

import (
	"context"
	cryptotls "crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func main() {
	cert := flag.String("cert", "", "certificate, PEM")
	key := flag.String("key", "", "its key, PEM")
	ca := flag.String("ca", "", "CA of the client certificates, PEM")
	addresses := flag.Int("addresses", 1, "how many addresses to serve")
	flag.Parse()
	if err := run(*cert, *key, *ca, *addresses); err != nil {
		fmt.Fprintln(os.Stderr, "upstream:", err)
		os.Exit(1)
	}
}

func run(cert, key, ca string, addresses int) error {
	identity, err := cryptotls.LoadX509KeyPair(cert, key)
	if err != nil {
		return err
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return err
	}
	trust := x509.NewCertPool()
	trust.AppendCertsFromPEM(pem)
	config := &cryptotls.Config{
		Certificates: []cryptotls.Certificate{identity},
		ClientAuth:   cryptotls.RequireAndVerifyClientCert,
		ClientCAs:    trust,
		NextProtos:   []string{"http/1.1"},
	}

	failed := make(chan error, addresses)
	for range addresses {
		listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		server := &http.Server{Handler: handler(), ReadHeaderTimeout: 10 * time.Second}
		fmt.Println(listener.Addr())
		go func() { failed <- server.Serve(cryptotls.NewListener(listener, config)) }()
	}
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		failed <- err
	}()
	return <-failed
}

type echoArgs struct {
	Text string `json:"text"`
}

func handler() http.Handler {
	server := mcp.NewServer(&mcp.Implementation{Name: "upstream", Version: "1.0.0"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "echo", Description: "Sends its argument back."},
		func(_ context.Context, _ *mcp.CallToolRequest, args echoArgs) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: args.Text}}}, nil, nil
		})

	mux := http.NewServeMux()
	mux.HandleFunc("GET /json", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"text":%q,"items":[1,2,3,4,5,6,7,8]}`, r.URL.Query().Get("text"))
	})
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: hello\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	mux.Handle("/mcp", mcp.NewStreamableHTTPHandler(
		func(*http.Request) *mcp.Server { return server },
		&mcp.StreamableHTTPOptions{SessionTimeout: time.Hour}))
	return mux
}
