// Package http_test tests HTTP of the versions 1.1, 2 and 3 alike: forwarded
// identities, the PROXY protocol, unix sockets.
package http_test

import (
	"testing"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
