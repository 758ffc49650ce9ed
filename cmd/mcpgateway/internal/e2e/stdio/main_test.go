// Package stdio_test tests the command stdio, and servers that are child processes.
package stdio_test

import (
	"testing"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
