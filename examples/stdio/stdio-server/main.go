// Command stdio-server is a sample MCP server that speaks over its standard
// input and output.
package main

import (
	"fmt"
	"os"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpgateway/mcpgateway/examples/internal/sample"
)

func main() {
	ctx, stop := sample.Signals()
	defer stop()
	// Only messages of MCP may go to standard output; errors go to standard error.
	fmt.Fprintln(os.Stderr, "stdio-server: ready")
	if err := sample.NewServer("stdio-server", "").Run(ctx, &mcp.StdioTransport{}); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "stdio-server:", err)
		os.Exit(1)
	}
}
