// Package auth_test tests who may call: bearer tokens, protected resources (RFC 9728),
// and pages of other origins.
package auth_test

import (
	"testing"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
