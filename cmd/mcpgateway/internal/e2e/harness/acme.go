package harness

import (
	"os"
	"testing"

	"github.com/mcpgateway/mcpgateway/tls/acme/acmetest"
)

// ACMEName is a name that the authorities of tests give certificates for.
const ACMEName = "mcp.example.test"

// ACMEAuthority is an ACME server whose root and directory a gateway's file names.
type ACMEAuthority struct{ *acmetest.Pebble }

// NewACMEAuthority starts one, and writes its root to acme-ca.crt in dir.
func NewACMEAuthority(t *testing.T, dir string, o acmetest.Options) ACMEAuthority {
	t.Helper()
	p := acmetest.Start(t, o)
	ca, err := os.ReadFile(p.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	WriteFile(t, dir, "acme-ca.crt", ca)
	return ACMEAuthority{p}
}
