package acme_test

import (
	cryptotls "crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/admin"
	"github.com/mcpgateway/mcpgateway/tls/acme/acmetest"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// handshake connects by a name, and returns who was shown; roots nil
// believes every certificate.
func handshake(address, name string, roots *x509.CertPool, certs ...cryptotls.Certificate) (*x509.Certificate, error) {
	conn, err := cryptotls.Dial("tcp", address, &cryptotls.Config{ServerName: name, RootCAs: roots, InsecureSkipVerify: roots == nil, Certificates: certs})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0], nil
}

// certificates are those of the status in use for something.
func certificates(g *harness.Gateway, use string) []admin.Certificate {
	g.T.Helper()
	return slices.DeleteFunc(g.Status().Certs, func(c admin.Certificate) bool { return c.Use != use })
}

// troubles visits what the log says of ACME as a warning or an error. Each failure
// is one line.
func troubles(g *harness.Gateway, visit func(line map[string]any)) {
	g.T.Helper()
	failures := map[any]int{}
	for _, line := range g.LogLines() {
		if level := line["level"]; level != "warn" && level != "error" || line["use"] != nil {
			continue // the CA of a Pebble's directory lives for a day
		}
		if line["event"] == nil {
			g.T.Errorf("beside the events of ACME the log says %v", line)
			continue
		}
		visit(line)
		failures[line["retry_in_ms"]]++ // no two waits are the same
	}
	for wait, n := range failures {
		if n > 1 {
			g.T.Errorf("the failure before a wait of %v ms is logged %d times", wait, n)
		}
	}
}

// A listener that demands client certificates answers the authority, which has
// none. The certificate comes, and is renewed, again and again since it lives
// for seconds, while streams are open over all versions of HTTP. The authority
// may be away when it is to be renewed.
func TestACMECertificateIsRenewedUnderOpenStreams(t *testing.T) {
	t.Parallel()
	dir, clients, api := harness.ShortDir(t), tlstest.NewCA(t, "clients"), &harness.PlainAPI{}
	p := harness.NewACMEAuthority(t, dir, acmetest.Options{Validity: 15 * time.Second})
	harness.WriteFile(t, dir, "clients.crt", clients.PEM())
	upstream := httptest.NewServer(api)
	t.Cleanup(upstream.Close)
	config := fmt.Sprintf(`
acme: {email: ops@example.com, directory: "%s", ca_cert: acme-ca.crt, storage: store, challenges: [tls-alpn-01]}
listeners:
  - name: public
    address: 127.0.0.1:%d
    protocols: [http/1.1, h2, h3]
    tls:
      certificates: [{acme: [%s]}]
      client_auth: {mode: require, ca_cert: clients.crt}
routes:
  - {match: {path_prefix: /api}, cluster: api, timeout: 0s}
  - {match: {path: /word}, respond: {body: "old"}}
clusters:
  - {name: api, endpoints: ["%s"]}
`, p.Directory, p.TLSPort, harness.ACMEName, upstream.URL)
	g := harness.Start(t, dir, config)
	cert, key := clients.Client(t, "client")
	me := tlstest.Certificate(t, cert, key)
	var first *x509.Certificate
	g.Eventually("the certificate", func() (err error) {
		first, err = handshake(g.Address("public"), harness.ACMEName, p.Roots(), me)
		return err
	})
	var all []*harness.Opened
	for _, protocol := range harness.Transports {
		hc, _ := harness.ClientOf(t, protocol, clients.PEM(), func(cfg *cryptotls.Config) {
			cfg.ServerName, cfg.RootCAs, cfg.Certificates = harness.ACMEName, p.Roots(), []cryptotls.Certificate{me}
		})
		all = append(all, harness.Open(t, api, "https://"+g.Address("public")+"/api", protocol, hc))
	}
	renewed := func(what string, roots func() *x509.CertPool) {
		t.Helper()
		testkit.RetryFor(t, time.Minute, what, func() error {
			now, err := handshake(g.Address("public"), harness.ACMEName, roots(), me)
			if err != nil {
				return err
			}
			if now.Equal(first) {
				return fmt.Errorf("serial %X is still shown", now.SerialNumber)
			}
			first = now
			return nil
		})
	}
	renewed("the first renewal", p.Roots)
	p.Stop()
	// With the authority gone, the certificate serves on and a reload works.
	if o := g.Apply(strings.Replace(config, `"old"`, `"new"`, 1)); o.Result != "applied" {
		t.Errorf("reload without the authority: %s %v", o.Result, o.Errors)
	}
	for _, protocol := range harness.Transports {
		hc, _ := harness.ClientOf(t, protocol, clients.PEM(), func(cfg *cryptotls.Config) {
			cfg.ServerName, cfg.InsecureSkipVerify, cfg.Certificates = harness.ACMEName, true, []cryptotls.Certificate{me}
		})
		if _, body, _, err := harness.Ask(hc, "https://"+g.Address("public")+"/word", harness.ACMEName); err != nil || body != "new" {
			t.Errorf("without the authority, over %s: %q, %v", protocol, body, err)
		}
	}
	testkit.RetryFor(t, time.Minute, "a renewal to fail", func() error {
		for _, c := range g.Status().Certs {
			if c.Use == "acme" && c.Subject == harness.ACMEName && c.Error != "" {
				return nil
			}
		}
		return fmt.Errorf("no error yet")
	})
	if now, err := handshake(g.Address("public"), harness.ACMEName, nil, me); err != nil || !now.Equal(first) {
		t.Errorf("without the authority: %v", err)
	}
	p.Restart() // which has forgotten all, its root too
	renewed("a renewal by the authority that is back", p.Roots)
	for _, o := range all {
		o.Finish()
	}
	metrics, err := g.Metrics()
	if err != nil || !strings.Contains(metrics, `mcpgateway_acme_events_total{event="obtained"} 1`) || !strings.Contains(metrics, `mcpgateway_acme_events_total{event="renewed"}`) {
		t.Errorf("the events are not in the metrics (%v)", err)
	}
	if !strings.Contains(metrics, `mcpgateway_certificate_not_after_timestamp_seconds{serial="`) || !strings.Contains(metrics, `subject="`+harness.ACMEName+`",use="acme"`) {
		t.Error("the certificate's end is not in the metrics")
	}
}

// The authority is away at the start, wants an account of its own, and asks in
// plain text, on a listener whose routes would answer everything.
func TestACMEWaitsForItsAuthorityAndKeepsWhatItGot(t *testing.T) {
	t.Parallel()
	dir := harness.ShortDir(t)
	mac := base64.RawURLEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))
	p := harness.NewACMEAuthority(t, dir, acmetest.Options{ExternalAccounts: map[string]string{"kid-1": mac}})
	p.Stop()
	harness.WriteFile(t, dir, "mac.key", []byte(mac+"\n"))
	config := fmt.Sprintf(`
acme:
  directory: "%s"
  ca_cert: acme-ca.crt
  storage: store
  challenges: [http-01]
  external_account: {key_id: kid-1, mac_key_file: mac.key}
listeners:
  - {name: plain, address: "127.0.0.1:%d"}
  - {name: public, address: "127.0.0.1:%d", tls: {certificates: [{acme: [%s]}]}}
routes:
  - {match: {path_prefix: /}, listeners: [all], respond: {body: "not a challenge"}}
`, p.Directory, p.HTTPPort, p.TLSPort, harness.ACMEName)
	g := harness.Start(t, dir, config) // which waits until it is ready
	if _, err := handshake(g.Address("public"), harness.ACMEName, nil); err == nil {
		t.Fatal("a certificate without an authority")
	}
	for _, path := range []string{"/", "/.well-known/acme-challenge/forged"} {
		if _, body, _, err := harness.Ask(http.DefaultClient, "http://"+g.Address("plain")+path, harness.ACMEName); err != nil || body != "not a challenge" {
			t.Errorf("%s meanwhile: %q, %v", path, body, err)
		}
	}
	g.Eventually("status to say why", func() error {
		if c := certificates(g, "acme"); len(c) != 1 || !strings.Contains(c[0].Error, "connection refused") {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
	troubles(g, func(line map[string]any) {
		if line["event"] != "failed" || line["level"] != "error" || line["serving"] != false || line["retry_in_ms"] == nil || line["error"] == nil {
			t.Errorf("a failure with nothing to serve is logged as %v", line)
		}
	})
	p.Restart()
	var got *x509.Certificate
	g.Eventually("the certificate", func() (err error) {
		got, err = handshake(g.Address("public"), harness.ACMEName, p.Roots())
		return err
	})

	// Nothing is due for weeks, and yet a wrong account shows.
	says := func(want string) {
		t.Helper()
		g.Eventually("status to say "+want, func() error {
			if c := certificates(g, "acme")[0]; !strings.Contains(c.Error, want) || want == "" && c.Error != "" {
				return fmt.Errorf("%+v", c)
			}
			if now, err := handshake(g.Address("public"), harness.ACMEName, p.Roots()); err != nil || !now.Equal(got) {
				return testkit.Fatal(fmt.Errorf("the certificate was not left alone: %w", err))
			}
			return nil
		})
	}
	g.MustApply(strings.Replace(config, "kid-1", "kid-2", 1))
	says("the ACME account cannot be used")
	g.MustApply(config)
	says("")

	// Another process, without the authority: what is stored serves at once.
	p.Stop()
	g.Cmd.Process.Kill()
	<-g.Done
	g = harness.Start(t, dir, config)
	if now, err := handshake(g.Address("public"), harness.ACMEName, nil); err != nil || !now.Equal(got) {
		t.Errorf("after a restart: %v", err)
	}
	// What is no longer named is no longer kept.
	g.MustApply(strings.Replace(config, "{acme: ["+harness.ACMEName+"]}", "{acme: [other.example.test]}", 1))
	if _, err := handshake(g.Address("public"), harness.ACMEName, nil); err == nil {
		t.Error("the certificate of a removed name is still shown")
	}
	if c := certificates(g, "acme"); len(c) != 1 || c[0].Subject != "other.example.test" {
		t.Errorf("certificates: %+v", c)
	}
	if c := certificates(g, "acme, directory CA"); len(c) != 1 || c[0].Subject != "localhost" || c[0].NotAfter.IsZero() {
		t.Errorf("the CA of the directory: %+v", c)
	}
	if !slices.ContainsFunc(g.LogLines(), func(line map[string]any) bool { return line["use"] == "acme, directory CA" && line["level"] == "warn" }) {
		t.Error("the log does not say that the CA of the directory, which ends within a day, comes to its end")
	}
	if keys, err := filepath.Glob(filepath.Join(dir, "store", "certificates", "*", harness.ACMEName, "*.key")); err != nil || len(keys) != 1 {
		t.Errorf("keys in the storage: %v, %v", keys, err)
	} else if info, err := os.Stat(keys[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's mode is %v, %v", info.Mode(), err)
	}
	if strings.Contains(g.Logs.String(), mac) || strings.Contains(g.Logs.String(), "PRIVATE KEY") {
		t.Error("a secret is in the log")
	}
}

func TestACMEIssuerIsChangedWithoutAGap(t *testing.T) {
	t.Parallel()
	dir := harness.ShortDir(t)
	ports := testkit.FreePorts(t, 1)
	one := harness.NewACMEAuthority(t, dir, acmetest.Options{TLSPort: ports[0]})
	if err := os.Rename(filepath.Join(dir, "acme-ca.crt"), filepath.Join(dir, "one.crt")); err != nil {
		t.Fatal(err)
	}
	two := harness.NewACMEAuthority(t, dir, acmetest.Options{TLSPort: ports[0]})
	two.Stop()
	config := func(a harness.ACMEAuthority, ca string) string {
		return fmt.Sprintf(`
acme: {directory: "%s", ca_cert: %s, storage: store}
listeners:
  - {name: public, address: "127.0.0.1:%d", tls: {certificates: [{acme: [%s]}]}}
routes:
  - {match: {path: /}, respond: {body: "here"}}
`, a.Directory, ca, ports[0], harness.ACMEName)
	}
	g := harness.Start(t, dir, config(one, "one.crt"))
	g.Eventually("the first issuer's certificate", func() error {
		_, err := handshake(g.Address("public"), harness.ACMEName, one.Roots())
		return err
	})
	old := one.Roots()
	g.MustApply(config(two, "acme-ca.crt"))
	for range 5 { // the new one is away
		if _, err := handshake(g.Address("public"), harness.ACMEName, old); err != nil {
			t.Fatalf("while the new issuer is asked: %v", err)
		}
	}
	g.Eventually("the failure in the log", func() error {
		seen := 0
		troubles(g, func(line map[string]any) {
			switch {
			case line["name"] != harness.ACMEName:
			case line["not_after"] == nil: // before the first issuer's came
			default:
				if seen++; line["level"] != "warn" || line["serving"] != true {
					t.Errorf("a failure while a former certificate serves is logged as %v", line)
				}
			}
		})
		if seen == 0 {
			return fmt.Errorf("nothing")
		}
		return nil
	})
	two.Restart()
	g.Eventually("the second issuer's certificate", func() error {
		if _, err := handshake(g.Address("public"), harness.ACMEName, two.Roots()); err != nil {
			if _, gap := handshake(g.Address("public"), harness.ACMEName, old); gap != nil {
				if _, now := handshake(g.Address("public"), harness.ACMEName, two.Roots()); now != nil {
					return testkit.Fatal(fmt.Errorf("neither is shown: %w", gap))
				}
			}
			return err
		}
		return nil
	})
}
