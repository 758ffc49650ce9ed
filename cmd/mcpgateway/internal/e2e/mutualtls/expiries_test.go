package mutualtls_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/tls/spiffe/spiffetest"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// What an agent delivers lives for an hour, and that is no reason to warn; but
// it is when the next one does not come. The log says so with the reload, and
// not up to an hour later.
func TestTheLogWarnsOfAnEndThatNobodyWillPutOff(t *testing.T) {
	t.Parallel()
	agent, ca, dir := spiffetest.Start(t), tlstest.NewCA(t, "CA"), harness.ShortDir(t)
	deliver := func(since, left time.Duration) {
		template := tlstest.Template(t, "")
		template.NotBefore, template.NotAfter = time.Now().Add(-since), time.Now().Add(left)
		cert, key := ca.Issue(t, spiffetest.Template(t, template, "spiffe://example.org/gateway"))
		agent.SetSVID("spiffe://example.org/gateway", cert, key, ca.PEM())
	}
	deliver(10*time.Minute, 50*time.Minute)
	g := harness.Start(t, dir, fmt.Sprintf(`
listeners:
  - name: mesh
    address: localhost:0
    tls: {spiffe: {socket: "%s"}, client_auth: {mode: require}}
`, agent.Socket))
	warned := func() []string {
		var all []string
		for _, l := range g.LogLines() {
			if m, _ := l["message"].(string); strings.HasPrefix(m, "a certificate ") {
				all = append(all, fmt.Sprintf("%s %s", l["use"], m))
			}
		}
		return all
	}
	generation := func(n uint64) {
		t.Helper()
		g.Eventually("what the agent delivered", func() error {
			if got := g.Status().Generation.Number; got != n {
				return fmt.Errorf("generation %d", got)
			}
			return nil
		})
	}
	deliver(0, time.Hour)
	generation(2)
	if all := warned(); len(all) > 0 {
		t.Errorf("of identities that are replaced in time the log says %q", all)
	}

	deliver(55*time.Minute, 5*time.Minute)
	want := []string{"listener mesh a certificate or revocation list expires within 10m0s; the SPIFFE agent should have delivered another by now; look at its log"}
	expect := func() {
		t.Helper()
		g.Eventually("the warning", func() error {
			if all := warned(); strings.Join(all, "\n") != strings.Join(want, "\n") {
				return fmt.Errorf("the log says %q, want %q", all, want)
			}
			return nil
		})
	}
	expect()

	template := tlstest.Template(t, "localhost")
	template.DNSNames, template.NotBefore, template.NotAfter = []string{"localhost"}, time.Now().Add(-70*24*time.Hour), time.Now().Add(20*24*time.Hour)
	cert, key := ca.Issue(t, template)
	tlstest.WritePair(t, dir, "server", cert, key)
	g.MustApply(`
listeners:
  - {name: public, address: "localhost:0", tls: {certificates: [{cert: server.crt, key: server.key}]}}
`)
	want = append(want, "listener public a certificate or revocation list expires within 30 days; replace it")
	expect()
}
