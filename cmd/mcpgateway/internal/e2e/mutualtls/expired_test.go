package mutualtls_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/proxy/admin"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

const expiredConfig = `
reload: {watch: false}
drain: {close_spread: 10ms}
listeners:
  - name: public
    address: localhost:0
    tls:
      certificates: [{cert: server.crt, key: server.key}]
      client_auth: {mode: require, ca_cert: ca.crt, crl: ca.crl}
routes:
  - {match: {path: /}, respond: {body: "here"}}
clusters:
  - name: forgotten
    endpoints: ["https://localhost:1"]
    tls: {ca_cert: upstream.crt, client_cert: client.crt, client_key: client.key}
`

// The certificates towards one upstream have expired. That must not keep a client
// from being revoked.
func TestAnExpiredCertificateDoesNotKeepARevocationFromBeingApplied(t *testing.T) {
	t.Parallel()
	ca, dir := tlstest.NewCA(t, "CA"), harness.ShortDir(t)
	cert, key := ca.Server(t, "localhost", "127.0.0.1")
	tlstest.WritePair(t, dir, "server", cert, key)
	harness.WriteFile(t, dir, "ca.crt", ca.PEM())
	harness.WriteFile(t, dir, "ca.crl", ca.CRL(t, time.Now().Add(time.Hour)))
	end := time.Now().Add(6 * time.Second) // enough to start within
	until := func(name, cn string, isCA bool, end time.Time) {
		template := tlstest.Template(t, cn)
		template.NotAfter, template.IsCA, template.BasicConstraintsValid = end, isCA, isCA
		cert, key := ca.Issue(t, template)
		tlstest.WritePair(t, dir, name, cert, key)
	}
	until("client", "gateway", false, end)
	until("upstream", "upstream CA", true, end)
	g := harness.Start(t, dir, expiredConfig)
	g.Eventually("the cluster's certificates to run out", func() error {
		for _, c := range g.Status().Certs {
			if strings.HasPrefix(c.Use, "cluster forgotten") && c.DaysLeft >= 0 {
				return fmt.Errorf("%+v", c)
			}
		}
		return nil
	})

	badCert, badKey := ca.Client(t, "bad")
	enter := func() error {
		hc, _ := harness.ClientOf(t, "http/1.1", ca.PEM(), harness.WithCertificate(tlstest.Certificate(t, badCert, badKey)))
		defer hc.CloseIdleConnections()
		_, _, _, err := harness.Ask(hc, "https://"+g.Address("public")+"/", "")
		return err
	}
	if err := enter(); err != nil {
		t.Fatalf("before it is revoked: %v", err)
	}
	harness.WriteFile(t, dir, "ca.crl", ca.CRL(t, time.Now().Add(time.Hour), badCert))
	o := g.Reload()
	if o.Result != admin.Applied || len(o.Warnings) != 2 {
		t.Fatalf("%s: %q, warnings %q", o.Result, o.Errors, o.Warnings)
	}
	for i, want := range []string{"clusters[0].tls.ca_cert: every CA of the file has expired", "clusters[0].tls.client_cert: the certificate expired on "} {
		if !strings.Contains(o.Warnings[i], want) || !strings.HasSuffix(o.Warnings[i], "; it serves on, since it was in force already; replace it") {
			t.Errorf("warning %q, want %q", o.Warnings[i], want)
		}
	}
	g.Eventually("the revoked client to be refused", func() error {
		if enter() == nil {
			return errors.New("it gets in")
		}
		return nil
	})

	// Who looks at the file alone, or comes with another one that has expired,
	// makes a mistake.
	validate := harness.Command(t, dir, "validate", "-c", "config.yaml")
	if out, err := validate.CombinedOutput(); harness.ExitCode(err) != 2 || !strings.Contains(string(out), "clusters[0].tls.client_cert: the certificate expired on ") {
		t.Errorf("validate: exit %d\n%s", harness.ExitCode(err), out)
	}
	until("client", "another", false, end)
	if o := g.Reload(); o.Result != admin.Rejected || len(o.Errors) != 1 || !strings.Contains(o.Errors[0], "clusters[0].tls.client_cert: the certificate expired on ") {
		t.Errorf("another expired one: %s, %q", o.Result, o.Errors)
	}
	until("client", "gateway", false, time.Now().Add(time.Hour))
	until("upstream", "upstream CA", true, time.Now().Add(time.Hour))
	if o := g.Reload(); o.Result != admin.Applied || len(o.Warnings) > 0 {
		t.Errorf("a good one: %s, %q, warnings %q", o.Result, o.Errors, o.Warnings)
	}
}
