// Command http-server is a sample MCP server with the Streamable HTTP
// transport, which refuses every handshake without a client certificate of its
// CA.
package main

import (
	"net/http"
	"os"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/examples/internal/sample"
)

func main() {
	mux := http.NewServeMux()
	mux.Handle("/mcp", sample.Handler("http-server", func(newServer func(*http.Request) *mcp.Server) http.Handler {
		return mcp.NewStreamableHTTPHandler(newServer, &mcp.StreamableHTTPOptions{SessionTimeout: time.Hour})
	}))
	os.Exit(sample.Main("http-server", "localhost:9001", mux))
}
