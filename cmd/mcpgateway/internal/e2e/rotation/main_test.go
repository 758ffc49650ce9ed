// Package rotation_test tests that new certificates cost no connection, whatever brings
// them: a signal, the watcher, an agent.
package rotation_test

import (
	"testing"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
