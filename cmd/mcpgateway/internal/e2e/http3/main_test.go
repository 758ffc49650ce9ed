// Package http3_test tests HTTP/3 towards clients and servers: loss, moves, drain, 0-RTT,
// WebSockets on streams.
package http3_test

import (
	"testing"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
