// Package mcp_test tests MCP sessions: over every change, in both eras, with servers
// that restart and clients that vanish.
package mcp_test

import (
	"testing"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
