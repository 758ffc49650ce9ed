package mutualtls_test

import (
	cryptotls "crypto/tls"
	"os/exec"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

const scannerConfig = `
listeners:
  - name: default
    address: localhost:0
    tls:
      certificates: [{cert: server.crt, key: server.key}]
      policies:
        - {hosts: [partners.test], client_auth: {mode: require, ca_cert: ca.crt}}
  - name: modern
    address: localhost:0
    tls: {min_version: "1.3", certificates: [{cert: server.crt, key: server.key}]}
routes:
  - {match: {path_prefix: /}, listeners: [all], respond: {body: "here"}}
`

// What others see of the gateway's TLS: OpenSSL and curl, which share no code
// with it.
func TestOtherClientsSeeTheTLSThatIsPromised(t *testing.T) {
	t.Parallel()
	ca, dir := tlstest.NewCA(t, "CA"), harness.ShortDir(t)
	cert, key := ca.Server(t, "localhost", "partners.test")
	tlstest.WritePair(t, dir, "server", cert, key)
	cert, key = ca.Client(t, "client")
	tlstest.WritePair(t, dir, "client", cert, key)
	harness.WriteFile(t, dir, "ca.crt", ca.PEM())
	g := harness.Start(t, dir, scannerConfig)
	run := func(name string, args ...string) (string, error) {
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	scan := func(listener string, args ...string) (string, error) {
		return run("openssl", append([]string{"s_client", "-connect", "localhost:" + g.Port(listener), "-CAfile", "ca.crt", "-verify_return_error", "-cipher", "DEFAULT@SECLEVEL=0"}, args...)...)
	}
	for _, c := range []struct {
		listener, version, protocol string
		accepted                    bool
	}{
		{"default", "-tls1", "TLSv1", false},
		{"default", "-tls1_1", "TLSv1.1", false},
		{"default", "-tls1_2", "TLSv1.2", true},
		{"default", "-tls1_3", "TLSv1.3", true},
		{"modern", "-tls1_2", "TLSv1.2", false},
		{"modern", "-tls1_3", "TLSv1.3", true},
	} {
		out, err := scan(c.listener, c.version)
		if accepted := err == nil && strings.Contains(out, "Verify return code: 0 (ok)") && strings.Contains(out, c.protocol); accepted != c.accepted {
			t.Errorf("%s with %s: accepted %v, want %v\n%s", c.listener, c.version, accepted, c.accepted, harness.Tail(out, 600))
		}
		// A refusal is one by the server, and not OpenSSL's own.
		if !c.accepted && !strings.Contains(out, "alert protocol version") {
			t.Errorf("%s with %s: refused without the alert\n%s", c.listener, c.version, harness.Tail(out, 600))
		}
	}
	// Certificates are asked for by name.
	if out, _ := scan("default", "-servername", "localhost"); !strings.Contains(out, "No client certificate CA names sent") {
		t.Errorf("the open policy asks for a certificate:\n%s", harness.Tail(out, 600))
	}
	if out, _ := scan("default", "-servername", "partners.test"); !strings.Contains(out, "CN = CA") && !strings.Contains(out, "CN=CA") || !strings.Contains(out, "Acceptable client certificate CA names") {
		t.Errorf("the strict policy names no CA:\n%s", harness.Tail(out, 600))
	}
	// curl with either version of HTTP, and with a certificate.
	for _, version := range []string{"1.1", "2"} {
		out, err := run("curl", "-sS", "--http"+version, "--cacert", "ca.crt", "-w", " %{http_version} %{ssl_verify_result}", "https://localhost:"+g.Port("default")+"/")
		if err != nil || out != "here "+version+" 0" {
			t.Errorf("curl with HTTP/%s: %s %v", version, out, err)
		}
		args := []string{"-sS", "--http" + version, "--cacert", "ca.crt", "--connect-to", "partners.test:443:localhost:" + g.Port("default"), "https://partners.test/"}
		if out, err := run("curl", args...); err == nil {
			t.Errorf("curl without a certificate got %s", out)
		}
		if out, err := run("curl", append(args, "--cert", "client.crt", "--key", "client.key")...); err != nil || out != "here" {
			t.Errorf("curl with a certificate: %s %v", out, err)
		}
	}
	// OpenSSL before 3.5 does not know this key exchange.
	conn, err := cryptotls.Dial("tcp", "localhost:"+g.Port("default"), &cryptotls.Config{RootCAs: ca.Pool(), CurvePreferences: []cryptotls.CurveID{cryptotls.X25519MLKEM768}})
	if err != nil {
		t.Fatalf("with X25519MLKEM768 alone: %v", err)
	}
	defer conn.Close()
	if got := conn.ConnectionState().CurveID; got != cryptotls.X25519MLKEM768 {
		t.Errorf("the key exchange was %s", got)
	}
}
