// Package acme_test tests certificates from an ACME authority: renewal under open
// streams, switches between files and authorities, challenges, slow storage.
package acme_test

import (
	"testing"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }
