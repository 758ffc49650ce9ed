// Command sse-server is a sample MCP server with the HTTP+SSE transport of
// revision 2024-11-05, which refuses every handshake without a client
// certificate of its CA.
package main

import (
	"net/http"
	"os"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/examples/internal/sample"
)

func main() {
	mux := http.NewServeMux()
	mux.Handle("/sse", sample.Handler("sse-server", func(newServer func(*http.Request) *mcp.Server) http.Handler {
		return mcp.NewSSEHandler(newServer, nil)
	}))
	os.Exit(sample.Main("sse-server", "localhost:9000", mux))
}
