package mutualtls_test

import (
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// A connection that was opened with a client certificate ends with it, and a
// stream on it ends as if it had come to its own end.
func TestConnectionsEndWithTheirClientCertificate(t *testing.T) {
	t.Parallel()
	ca, dir, api := tlstest.NewCA(t, "CA"), harness.ShortDir(t), &harness.PlainAPI{}
	cert, key := ca.Server(t, "localhost", "127.0.0.1")
	tlstest.WritePair(t, dir, "server", cert, key)
	harness.WriteFile(t, dir, "ca.crt", ca.PEM())
	upstream := httptest.NewServer(api)
	t.Cleanup(upstream.Close)
	g := harness.Start(t, dir, strings.Replace(harness.EdgeHTTP3Config(upstream.URL, 100), "key: server.key}]}", "key: server.key}], client_auth: {mode: require, ca_cert: ca.crt}}", 1))
	for _, protocol := range harness.Transports {
		template := tlstest.Template(t, "brief")
		template.NotAfter = time.Now().Add(5 * time.Second)
		cert, key := ca.Issue(t, template)
		hc, _ := harness.ClientOf(t, protocol, ca.PEM(), harness.WithCertificate(tlstest.Certificate(t, cert, key)))
		res, err := hc.Get("https://" + g.Address("public") + "/api/events?name=" + strings.ReplaceAll(protocol, "/", ""))
		if err != nil {
			t.Fatalf("%s: %v", protocol, err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil || string(body) != "data: first\n\n" {
			t.Errorf("%s: %q, %v", protocol, body, err)
		}
		if time.Now().Before(template.NotAfter.Truncate(time.Second)) {
			t.Errorf("%s: the stream ended before the certificate", protocol)
		}
		if _, _, _, err := harness.Ask(hc, "https://"+g.Address("public")+"/hello", ""); err == nil {
			t.Errorf("%s: the client still gets in", protocol)
		}
	}
}

// Operators do not read the status every day. The log says it when it matters.
func TestTheLogTellsOfCertificatesThatEndSoon(t *testing.T) {
	t.Parallel()
	ca, dir := tlstest.NewCA(t, "CA"), harness.ShortDir(t) // which lives for a day
	template := tlstest.Template(t, "localhost")
	template.DNSNames, template.NotBefore, template.NotAfter = []string{"localhost"}, time.Now().Add(-80*24*time.Hour), time.Now().Add(5*24*time.Hour)
	cert, key := ca.Issue(t, template)
	tlstest.WritePair(t, dir, "server", cert, key)
	template = tlstest.Template(t, "later")
	template.DNSNames, template.NotAfter = []string{"later.test"}, time.Now().Add(60*24*time.Hour)
	cert, key = ca.Issue(t, template)
	tlstest.WritePair(t, dir, "later", cert, key)
	g := harness.Start(t, dir, `
listeners:
  - {name: public, address: "127.0.0.1:0", tls: {certificates: [{cert: server.crt, key: server.key}, {cert: later.crt, key: later.key}]}}
routes:
  - {match: {path: /}, respond: {body: "here"}}
`)
	g.Eventually("the log to say so", func() error {
		for _, l := range g.LogLines() {
			if l["subject"] == "localhost" && l["use"] == "listener public" && l["days_left"] == 4.0 && l["level"] == "warn" && strings.Contains(l["message"].(string), "expires within 7 days") {
				return nil
			}
		}
		return fmt.Errorf("it does not")
	})
	for _, l := range g.LogLines() {
		if l["subject"] == "later.test" {
			t.Errorf("the log tells of a certificate that is good for long: %v", l)
		}
	}
}
