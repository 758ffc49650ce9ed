// Package mutualtls_test tests who is let in by a certificate: revocation, expiry, tickets,
// policies of one listener, and what OpenSSL sees.
package mutualtls_test

import (
	"testing"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
