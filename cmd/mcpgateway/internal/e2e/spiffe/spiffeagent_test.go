package spiffe_test

import (
	cryptotls "crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/proxy/admin"
	"github.com/mcpgateway/mcpgateway/tls/spiffe/spiffetest"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// agent is a Workload API, and the CA of its trust domain.
type agent struct {
	*spiffetest.WorkloadAPI
	t  testing.TB
	ca *tlstest.CA
}

// newAgent has delivered the gateway's first SVID.
func newAgent(t testing.TB) *agent {
	t.Helper()
	a := &agent{spiffetest.Start(t), t, tlstest.NewCA(t, "example.org")}
	a.rotate()
	return a
}

// issue makes an SVID for a workload of the trust domain.
func (a *agent) issue(path string) cryptotls.Certificate {
	a.t.Helper()
	cert, key := a.ca.Issue(a.t, spiffetest.Template(a.t, tlstest.Template(a.t, ""), "spiffe://example.org"+path))
	return tlstest.Certificate(a.t, cert, key)
}

// rotate delivers another SVID for the gateway.
func (a *agent) rotate() *x509.Certificate {
	a.t.Helper()
	cert, key := a.ca.Issue(a.t, spiffetest.Template(a.t, tlstest.Template(a.t, ""), "spiffe://example.org/gateway"))
	a.SetSVID("spiffe://example.org/gateway", cert, key, a.ca.PEM())
	return tlstest.Certificate(a.t, cert, key).Leaf
}

// shows tells whether a listener shows this certificate.
func shows(address string, want *x509.Certificate) error {
	conn, err := cryptotls.Dial("tcp", address, &cryptotls.Config{InsecureSkipVerify: true})
	if err != nil {
		return err
	}
	defer conn.Close()
	if got := conn.ConnectionState().PeerCertificates[0]; !got.Equal(want) {
		return fmt.Errorf("it shows %x, not %x", got.SerialNumber, want.SerialNumber)
	}
	return nil
}

// A policy that asks for client certificates believes the agent's CAs, also
// where the listener asks for none, and those of the next rotation.
func TestTheTrustOfAPolicyComesFromTheAgent(t *testing.T) {
	t.Parallel()
	a, dir := newAgent(t), harness.ShortDir(t)
	g := harness.Start(t, dir, fmt.Sprintf(`
listeners:
  - name: mesh
    address: 127.0.0.1:0
    tls:
      spiffe: {socket: "%s"}
      policies: [{hosts: [partners.example.org], client_auth: {mode: require}}]
routes: [{match: {path: /}, respond: {body: hello}}]
`, a.Socket))
	partner := func(certs ...cryptotls.Certificate) error {
		c, _ := harness.ClientOf(t, "http/1.1", a.ca.PEM(), func(cfg *cryptotls.Config) {
			cfg.ServerName, cfg.InsecureSkipVerify, cfg.Certificates = "partners.example.org", true, certs
		})
		defer c.CloseIdleConnections()
		status, body, _, err := harness.Ask(c, "https://"+g.Address("mesh"), "partners.example.org")
		if err == nil && (status != 200 || body != "hello") {
			err = fmt.Errorf("%d %s", status, body)
		}
		return err
	}
	if err := partner(a.issue("/client")); err != nil {
		t.Errorf("a workload of the domain: %v", err)
	}
	if err := partner(); err == nil {
		t.Error("a client without a certificate was let in")
	}
	old := a.issue("/client")
	a.ca = tlstest.NewCA(t, "next")
	a.rotate()
	g.Eventually("the next CA to be believed", func() error { return partner(a.issue("/client")) })
	if err := partner(old); err == nil {
		t.Error("the CA that was taken out of the bundle is believed still")
	}
}

// A listener without its identity cannot serve, so that the gateway ends, and
// is started again by its supervisor.
func TestAStartWithoutAnAgentSaysWhoMissesWhatAndWhatToDo(t *testing.T) {
	t.Parallel()
	a, dir := newAgent(t), harness.ShortDir(t)
	harness.WriteFile(t, dir, "config.yaml", fmt.Appendf(nil, `
listeners: [{name: mesh, address: "127.0.0.1:0", tls: {spiffe: {socket: "%[1]s/agent.sock"}}}]
clusters:
  - {name: far, endpoints: ["https://127.0.0.1:1"], tls: {spiffe: {socket: "unix://%[1]s/agent.sock"}, verify_names: ["spiffe://example.org/far"]}}
  - {name: near, endpoints: ["https://127.0.0.1:1"], tls: {spiffe: {socket: "%[2]s"}, verify_names: ["spiffe://example.org/near"]}}
`, dir, a.Socket))
	cmd := harness.Command(t, dir, "run")
	out, err := cmd.CombinedOutput()
	if harness.ExitCode(err) != 1 {
		t.Errorf("exit %d, want 1", harness.ExitCode(err))
	}
	for _, want := range []string{
		"listener mesh: spiffe: " + dir + "/agent.sock delivered no identity: ",
		"cluster far: spiffe: unix://" + dir + "/agent.sock delivered no identity: ",
		fmt.Sprintf("; see that the agent runs, that this process (uid %d, pid %d) may use the socket, and that there is a registration entry for it (waited 10s)", os.Getuid(), cmd.Process.Pid),
		`"errors":2`,
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the log does not say %q:\n%s", want, out)
		}
	}
	if strings.Contains(string(out), "cluster near") {
		t.Errorf("the agent that runs is blamed, too:\n%s", out)
	}
}

func TestNoWaitForHealthIsNoHasteWithAnIdentity(t *testing.T) {
	t.Parallel()
	a, dir := newAgent(t), harness.ShortDir(t)
	g := harness.Start(t, dir, fmt.Sprintf(`
reload: {warm_timeout: 0s}
listeners: [{name: mesh, address: "127.0.0.1:0", tls: {spiffe: {socket: "%s"}}}]
`, a.Socket))
	next := a.rotate()
	g.Eventually("the next SVID", func() error { return shows(g.Address("mesh"), next) })
}

// rotated is a file with one listener of the agent's, that answers with body.
func rotated(a *agent, reload, body string) string {
	return fmt.Sprintf(`
reload: {%s}
listeners: [{name: mesh, address: "127.0.0.1:0", tls: {spiffe: {socket: "%s"}}}]
routes: [{match: {path: /}, respond: {body: %s}}]
`, reload, a.Socket, body)
}

func TestARotationByTheAgentAppliesNoEdit(t *testing.T) {
	t.Parallel()
	a, dir := newAgent(t), harness.ShortDir(t)
	g := harness.Start(t, dir, rotated(a, "watch: false", "one"))
	address := g.Address("mesh")
	answers := func(want string) {
		t.Helper()
		if _, got, _ := harness.Get(t, anyCert(), "https://"+address); got != want {
			t.Errorf("it answers %s, want %s", got, want)
		}
	}
	g.Configure(rotated(a, "watch: false", "two"))
	for range 2 {
		next := a.rotate()
		g.Eventually("the next SVID", func() error { return shows(address, next) })
		answers("one")
	}
	if o := g.Reload(); o.Result != admin.Applied {
		t.Errorf("the edit was %s: %v", o.Result, o.Errors)
	}
	answers("two")
	next := a.rotate()
	g.Eventually("the next SVID", func() error { return shows(address, next) })
	answers("two")
}

func TestARotationByTheAgentGoesOnWhileTheFileIsBroken(t *testing.T) {
	t.Parallel()
	a, dir := newAgent(t), harness.ShortDir(t)
	g := harness.Start(t, dir, rotated(a, "watch: true", "one"))
	address := g.Address("mesh")
	rejected := func() error {
		if o := g.Status().LastReload; o.Result != admin.Rejected || o.Trigger != "file change" {
			return fmt.Errorf("the last reload, by %s, is shown as %s", o.Trigger, o.Result)
		}
		return nil
	}
	g.Configure(rotated(a, "watch: true", "{broken"))
	g.Eventually("the broken file to be seen", rejected)
	for range 2 {
		next := a.rotate()
		g.Eventually("the next SVID", func() error { return shows(address, next) })
	}
	if err := rejected(); err != nil {
		t.Errorf("the file is broken still: %v", err)
	}
	// It is watched still.
	g.Configure(rotated(a, "watch: true", "two"))
	g.Eventually("the mended file", func() error {
		if _, got, _ := harness.Get(t, anyCert(), "https://"+address); got != "two" {
			return fmt.Errorf("it answers %s", got)
		}
		return nil
	})
}

func TestASocketIsLeftThatNoFileInForceNames(t *testing.T) {
	t.Parallel()
	a, other, dir := newAgent(t), newAgent(t), harness.ShortDir(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	g := harness.Start(t, dir, rotated(a, "watch: false", "one"))
	left := func(from *agent) {
		t.Helper()
		g.Eventually("the watch to end", func() error {
			if n := from.Watches(); n > 0 {
				return fmt.Errorf("%d are left", n)
			}
			return nil
		})
	}
	// Rejected only once the other agent has delivered.
	if o := g.Apply(strings.ReplaceAll(rotated(other, "watch: false", "one"), "127.0.0.1:0", taken.Addr().String())); o.Result != admin.Rejected || !strings.Contains(o.Errors[0], "listen on") {
		t.Fatalf("the file was %s: %v", o.Result, o.Errors)
	}
	left(other)
	if o := g.Apply(rotated(a, "watch: false", "one")); o.Result != admin.Unchanged {
		t.Errorf("the file of before was %s", o.Result)
	}
	next := a.rotate()
	g.Eventually("the next SVID", func() error { return shows(g.Address("mesh"), next) })
	g.MustApply(rotated(other, "watch: false", "one"))
	left(a)
}

// anyCert is a client that looks at no certificate.
func anyCert() *http.Client {
	tr := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &cryptotls.Config{InsecureSkipVerify: true}}
	return &http.Client{Transport: tr}
}
