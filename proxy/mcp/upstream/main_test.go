package upstream

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"
)

// TestMain is also the stdio server that the tests start: the test binary with
// its role as the only argument.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "stdio-server":
			if err := newServer(newHangs()).Run(context.Background(), &mcp.StdioTransport{}); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
			return
		case "stdio-old":
			oldServer(os.Args[2], os.Args[3])
			return
		case "stdio-stateless":
			statelessServer(os.Args[2])
			return
		case "stdio-odd":
			oddServer()
			return
		}
	}
	goleak.VerifyTestMain(m)
}
