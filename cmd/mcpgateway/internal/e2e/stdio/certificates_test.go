package stdio_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// The certificates of the command are rotated while it runs, as the gateway's are.
// What is half written is not used, and is complained of once.
func TestNewConnectionsShowARotatedClientCertificate(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	call := func(when string, call func() (string, error)) {
		t.Helper()
		if got, err := call(); err != nil || got != "one: hi" {
			t.Fatalf("%s: %q %v", when, got, err)
		}
	}
	harness.WriteFile(t, d.dir, "trust.crt", harness.Read(t, d.dir, "ca.crt"))
	session, cmd := d.client("2025-11-25", nil, "--ca-cert", "trust.crt")
	echo := func() (string, error) { return harness.Call(session, "echo", "hi") }
	call("at first", echo)

	other := tlstest.NewCA(t, "Other CA")
	cert, key := other.Client(t, "client")
	harness.WriteFile(t, d.dir, "client.crt", cert)
	for range 2 {
		d.down()
		d.start()
		call("with a new certificate and the old key", echo)
	}
	const complaint = "--client-cert: the key does not belong to the certificate"
	if said := cmd.Stderr.(*testkit.Buffer).String(); strings.Count(said, complaint) != 1 {
		t.Errorf("the command does not say once %q:\n%s", complaint, said)
	}

	d.down()
	harness.WriteFile(t, d.dir, "client.key", key)
	harness.WriteFile(t, d.dir, "trust.crt", other.PEM())
	cert, key = other.Server(t, "localhost", "127.0.0.1")
	harness.WriteFile(t, d.dir, "server.crt", cert)
	harness.WriteFile(t, d.dir, "server.key", key)
	d.gateway = harness.Start(t, d.dir, strings.Replace(d.yaml(), "mode: require, ca_cert: ca.crt", "mode: require, ca_cert: trust.crt", 1))
	call("with the new pair, and another CA on both sides", echo)
}

// Errors of TLS name the flags that help.
func TestErrorsOfTLSNameTheFlags(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}` + "\n"
	run := func(args ...string) string {
		cmd := harness.Command(t, d.dir, append([]string{"stdio", "--url", "https://" + d.address + "/mcp", "--token-file", "token", "--patience", "100ms"}, args...)...)
		cmd.Stdin = strings.NewReader(initialize)
		out, err := cmd.CombinedOutput()
		return errors.Join(err, errors.New(string(out))).Error()
	}
	if out := run(); !strings.Contains(out, "for a private CA give --ca-cert") || strings.Contains(out, "ca_cert") {
		t.Errorf("without the CA: %s", out)
	}
	if out := run("--ca-cert", "ca.crt"); !strings.Contains(out, "the gateway demands a client certificate; give --client-cert and --client-key") || strings.Contains(out, "is unknown") {
		t.Errorf("without a certificate: %s", out)
	}
	if out := run("--ca-cert", "ca.crt", "--client-cert", "client.crt", "--client-key", "server.key"); !strings.Contains(out, "--client-cert: the key does not belong") {
		t.Errorf("with a key of another: %s", out)
	}
}
