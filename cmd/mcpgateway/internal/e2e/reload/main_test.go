// Package reload_test tests what a change of the file does to new work, and to
// connections and streams that exist.
package reload_test

import (
	"testing"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
