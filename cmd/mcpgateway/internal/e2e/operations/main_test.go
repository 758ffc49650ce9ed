// Package operations_test tests what an operator sees and does: log, status, shutdown.
package operations_test

import (
	"testing"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
