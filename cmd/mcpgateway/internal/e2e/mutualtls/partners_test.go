package mutualtls_test

import (
	cryptotls "crypto/tls"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
)

// A listener that is open, but for one name, whose route is for those who
// showed a certificate.
const partnersConfig = `
reload: {watch: false}
listeners:
  - name: open
    address: localhost:0
    protocols: [http/1.1, h2, h3]
    tls:
      certificates: [{cert: server.crt, key: server.key}]
      policies:
        - hosts: [partners.test]
          client_auth: {mode: %s, ca_cert: clients.crt, crl: clients.crl}
routes:
  - name: partners
    match: {hosts: [partners.test], path_prefix: /}
    listeners: [open]
    auth: {client_cert: {allowed_names: [partner]}}
    respond: {body: "partner"}
  - match: {path_prefix: /}
    listeners: [all]
    respond: {body: "any client"}
`

func TestARouteAsksForTheCertificateThatOnlyAPolicyDemands(t *testing.T) {
	t.Parallel()
	f := harness.NewFront(t)
	f.MustApply(strings.Replace(partnersConfig, "%s", "require", 1))
	partner, _ := f.Identity("partner", "partner")
	other, _ := f.Identity("other", "other")
	for _, protocol := range harness.Transports {
		for _, c := range []struct {
			who, host string
			shows     []cryptotls.Certificate
			status    int
			want      string
		}{
			{"the partner", "partners.test", []cryptotls.Certificate{partner}, 200, "partner"},
			{"another client with a certificate", "partners.test", []cryptotls.Certificate{other}, 401, ""},
			{"a stranger", "localhost", nil, 200, "any client"},
		} {
			hc, _ := harness.ClientOf(t, protocol, f.CA.PEM(), func(cfg *cryptotls.Config) {
				cfg.ServerName, cfg.Certificates = c.host, c.shows
			})
			status, body, _, err := harness.Ask(hc, f.URL("open", "/"), c.host)
			if err != nil || status != c.status || c.want != "" && body != c.want {
				t.Errorf("%s: %s got %d %q, %v; want %d %q", protocol, c.who, status, body, err, c.status, c.want)
			}
		}
	}
}

func TestARouteThatNobodyCanUseIsRefused(t *testing.T) {
	t.Parallel()
	f := harness.NewFront(t)
	const named, all = "    listeners: [open]\n", "    listeners: [all]\n"
	for on, want := range map[string]string{
		named: `listener "open" asks for no client certificate`,
		"":    `listener "open" asks for no client certificate`,
		all:   "no listener asks for a client certificate",
	} {
		for mode, code := range map[string]int{"none": 2, "request": 0} {
			yaml := strings.NewReplacer("%s", mode, named, on).Replace(partnersConfig)
			if on == all {
				// Where it answers 401, it keeps the path from the route below.
				yaml = strings.Replace(yaml, "routes:", "  - {name: plain, address: \"localhost:0\"}\nroutes:", 1)
			}
			f.Configure(yaml)
			out, err := harness.Command(t, f.Dir, "validate", "-c", "config.yaml").CombinedOutput()
			if harness.ExitCode(err) != code || strings.Contains(string(out), "routes[0].auth.client_cert: "+want) != (code == 2) {
				t.Errorf("%q, with the policy's mode %s: exit %d\n%s", on, mode, harness.ExitCode(err), out)
			}
		}
	}
}
