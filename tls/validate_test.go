package tls

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// section is a configuration file with the blocks of this package.
type section struct {
	Listener *ServerConfig `yaml:"listener"`
	Cluster  *ClientConfig `yaml:"cluster"`
}

func TestEachMistakeInTheFileHasItsOwnError(t *testing.T) {
	dir := t.TempDir()
	sh, _ := opensslIn(t, dir)
	ca := tlstest.NewCA(t, "CA")
	write := func(name string, certPEM, keyPEM []byte) { tlstest.WritePair(t, dir, name, certPEM, keyPEM) }
	cert, key := ca.Server(t, "localhost")
	write("good", cert, key)
	_, other := ca.Server(t, "localhost")
	write("mismatch", cert, other)
	expired, future, ancient := tlstest.Template(t, "x"), tlstest.Template(t, "x"), tlstest.Template(t, "CA")
	expired.NotAfter = time.Now().Add(-time.Minute)
	future.NotBefore = time.Now().Add(time.Hour)
	ancient.IsCA, ancient.BasicConstraintsValid, ancient.NotAfter = true, true, expired.NotAfter
	expiredCert, expiredKey := ca.Issue(t, expired)
	write("expired", expiredCert, expiredKey)
	futureCert, futureKey := ca.Issue(t, future)
	write("future", futureCert, futureKey)
	ancientCert, ancientKey := ca.Issue(t, ancient)
	write("ancient", ancientCert, ancientKey)
	write("encrypted", cert, []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"))
	sh("openssl pkcs8 -topk8 -in good.key -out locked.key -passout pass:secret")
	tlstest.WriteFile(t, dir, "pass", []byte("secret\r\n"))
	tlstest.WriteFile(t, dir, "void", []byte("\r\n"))
	below := ca.Intermediate(t, "intermediate")
	belowCert, belowKey := below.Server(t, "localhost")
	write("upside", append(below.PEM(), belowCert[:bytes.Index(belowCert, below.PEM())]...), belowKey)
	tlstest.WriteFile(t, dir, "ca.crl", ca.CRL(t, time.Now().Add(time.Hour)))
	tlstest.WriteFile(t, dir, "old.crl", ca.CRL(t, time.Now().Add(-time.Minute)))
	tlstest.WriteFile(t, dir, "early.crl", ca.IssueCRL(t, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(time.Hour), NextUpdate: time.Now().Add(2 * time.Hour)}))
	tlstest.WriteFile(t, dir, "other.crl", tlstest.NewCA(t, "other CA").CRL(t, time.Now().Add(time.Hour)))
	tlstest.WriteFile(t, dir, "ca.crt", ca.PEM())
	tlstest.WriteFile(t, dir, "both.crt", append(ca.PEM(), cert...))

	const good = "certificates: [{cert: good.crt, key: good.key}]"
	for _, c := range []struct {
		name, yaml string
		want       []string // path and part of each message; none: it loads
		warning    string
	}{
		{name: "good", yaml: "listener: {" + good + ", client_auth: {mode: require, ca_cert: ca.crt, allowed_names: [\"spiffe://td/*\"]}}"},
		{name: "good client", yaml: "cluster: {ca_cert: ca.crt, client_cert: good.crt, client_key: good.key, server_name: \"::1\"}"},
		{name: "no certificate", yaml: "listener: {}", want: []string{"listener.certificates: at least one"}},
		{name: "half a pair", yaml: "listener: {certificates: [{cert: good.crt}]}", want: []string{"listener.certificates[0].key: is missing"}},
		{name: "other half", yaml: "cluster: {client_key: good.key}", want: []string{"cluster.client_cert: is missing"}},
		{name: "mismatch", yaml: "listener: {certificates: [{cert: mismatch.crt, key: mismatch.key}]}", want: []string{"certificates[0].key: the key does not belong"}},
		{name: "expired", yaml: "cluster: {client_cert: expired.crt, client_key: expired.key}", want: []string{"cluster.client_cert: the certificate expired on"}},
		{name: "not yet valid", yaml: "cluster: {client_cert: future.crt, client_key: future.key}", want: []string{"cluster.client_cert: the certificate is not valid before"}},
		{name: "encrypted", yaml: "cluster: {client_cert: encrypted.crt, client_key: encrypted.key}", want: []string{"cluster.client_key: the private key is encrypted"}},
		{name: "no CA", yaml: "cluster: {ca_cert: good.crt}", want: []string{"cluster.ca_cert: the file holds no CA"}},
		{name: "expired CA", yaml: "cluster: {ca_cert: ancient.crt}", want: []string{"cluster.ca_cert: every CA of the file has expired"}},
		{name: "a leaf among CAs", yaml: "cluster: {ca_cert: both.crt}", warning: "no CA"},
		{name: "two at once", yaml: "cluster: {server_name: \"localhost:9000\", verify_names: [\"a*b\"]}", want: []string{"cluster.server_name:", "cluster.verify_names:"}},
		{name: "not verified", yaml: "cluster: {insecure_skip_verify: true}", warning: "not verified"},
		{name: "mode without CA", yaml: "listener: {" + good + ", client_auth: {mode: request}}", want: []string{"client_auth.ca_cert: is needed"}},
		{name: "CA without mode", yaml: "listener: {" + good + ", client_auth: {ca_cert: ca.crt}}", want: []string{"client_auth.ca_cert: has no effect without a mode"}},
		{name: "CA with mode none", yaml: "listener: {" + good + ", client_auth: {mode: none, ca_cert: ca.crt}}", warning: "no effect"},
		{name: "ACME", yaml: "listener: {certificates: [{acme: [x.test]}]}"},
		{name: "ACME without names", yaml: "listener: {certificates: [{acme: []}]}", want: []string{"certificates[0].acme: at least one name"}},
		{name: "ACME beside files", yaml: "listener: {certificates: [{acme: [x.test], cert: good.crt, key: good.key}]}", want: []string{"cert: a certificate is from files or by acme", "key: a certificate is from files or by acme"}},
		{name: "ACME for a wildcard", yaml: "listener: {certificates: [{acme: [\"*.x.test\"]}]}", want: []string{"acme[0]: a certificate for the wildcard *.x.test takes a DNS challenge"}},
		{name: "passphrase", yaml: "cluster: {client_cert: good.crt, client_key: locked.key, client_key_passphrase_file: pass}"},
		{name: "wrong passphrase", yaml: "cluster: {client_cert: good.crt, client_key: locked.key, client_key_passphrase_file: good.crt}", want: []string{"cluster.client_key: the private key cannot be decrypted"}},
		{name: "empty passphrase", yaml: "cluster: {client_cert: good.crt, client_key: locked.key, client_key_passphrase_file: void}", want: []string{"cluster.client_key_passphrase_file: the file is empty"}},
		{name: "empty passphrase of a plain key", yaml: "cluster: {client_cert: good.crt, client_key: good.key, client_key_passphrase_file: void}"},
		{name: "passphrase for nothing", yaml: "cluster: {client_key_passphrase_file: pass}", want: []string{"client_key_passphrase_file: has no effect without client_key"}},
		{name: "any order", yaml: "cluster: {client_cert: upside.crt, client_key: upside.key}", warning: "not in order"},
		{name: "CRL", yaml: "listener: {" + good + ", client_auth: {mode: require, ca_cert: ca.crt, crl: ca.crl}}"},
		{name: "CRL without mode", yaml: "listener: {" + good + ", client_auth: {crl: ca.crl}}", want: []string{"client_auth.crl: has no effect without a mode"}},
		{name: "crl_expired without CRL", yaml: "listener: {" + good + ", client_auth: {mode: require, ca_cert: ca.crt, crl_expired: accept}}", warning: "no effect without crl"},
		{name: "no CRL", yaml: "listener: {" + good + ", client_auth: {mode: require, ca_cert: ca.crt, crl: good.crt}}", want: []string{"client_auth.crl: the file holds no revocation list"}},
		{name: "expired CRL", yaml: "listener: {" + good + ", client_auth: {mode: require, ca_cert: ca.crt, crl: old.crl}}", warning: "expired"},
		{name: "CRL from the future", yaml: "listener: {" + good + ", client_auth: {mode: require, ca_cert: ca.crt, crl: early.crl}}", warning: "not valid before"},
		{name: "another CA's CRL", yaml: "listener: {" + good + ", client_auth: {mode: require, ca_cert: ca.crt, crl: other.crl}}", warning: "no list of the CA"},
		{name: "policies", yaml: "listener: {" + good + ", policies: [{hosts: [a.test, \"*.b.test\"], client_auth: {mode: require, ca_cert: ca.crt}, min_version: \"1.3\"}]}"},
		{name: "policy twice", yaml: "listener: {" + good + ", policies: [{hosts: [a.test]}, {hosts: [A.test]}]}", want: []string{"policies[1].hosts[0]: A.test is decided by policies[0]"}},
		{name: "policy in the shade", yaml: "listener: {" + good + ", policies: [{hosts: [\"*.x.test\"]}, {hosts: [y.test, a.b.x.test]}]}", want: []string{"policies[1].hosts[1]: a.b.x.test is decided by policies[0] already, by *.x.test"}},
		{name: "policy names side by side", yaml: "listener: {" + good + ", policies: [{hosts: [a.x.test, \"*.x.test\", x.test]}]}"},
		{name: "policy in Unicode", yaml: "listener: {" + good + ", policies: [{hosts: [bücher.test]}]}", want: []string{"policies[0].hosts[0]: \"bücher.test\" has letters beyond ASCII"}},
		{name: "policy with a wildcard inside", yaml: "listener: {" + good + ", policies: [{hosts: [a.*.test]}]}", want: []string{"\"a.*.test\" is not a host name; *. may stand before one"}},
		{name: "policy without a label", yaml: "listener: {" + good + ", policies: [{hosts: [a..test, \"*.\", -a.test, \"a.test:443\"]}]}", want: []string{"is not a host name", "is not a host name", "is not a host name", "is not a host name"}},
		{name: "policy with old TLS", yaml: "listener: {" + good + ", policies: [{hosts: [a.test], min_version: \"1.1\"}]}", want: []string{"policies[0].min_version: "}},
		{name: "policy for an address", yaml: "listener: {" + good + ", policies: [{hosts: [10.0.0.1]}]}", want: []string{"clients never name an IP address"}},
		{name: "policy without trust", yaml: "listener: {" + good + ", policies: [{hosts: [a.test], client_auth: {mode: require}}]}", want: []string{"policies[0].client_auth.ca_cert: is needed"}},
		{name: "SPIFFE", yaml: "listener: {spiffe: {socket: /run/spire/agent.sock}, client_auth: {mode: require}}"},
		{name: "SPIFFE client", yaml: "cluster: {spiffe: {socket: /run/spire/agent.sock}, verify_names: [spiffe://td/*]}"},
		{name: "SPIFFE without names", yaml: "cluster: {spiffe: {socket: /run/spire/agent.sock}}", want: []string{"verify_names: is needed with spiffe"}},
		{name: "SPIFFE beside files", yaml: "cluster: {ca_cert: ca.crt, spiffe: {socket: /run/spire/agent.sock}, verify_names: [spiffe://td/*]}", want: []string{"ca_cert: comes from the Workload API"}},
		{name: "SPIFFE nowhere", yaml: "listener: {spiffe: {socket: agent.sock}}", want: []string{"spiffe.socket: "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := tlstest.WriteFile(t, dir, "config.yaml", []byte(c.yaml+"\n"))
			snapshot, err := config.Load(context.Background(), path, config.Options{RetryFor: time.Millisecond}, new(section))
			var errs config.Errors
			if err != nil && !errors.As(err, &errs) {
				t.Fatal(err)
			}
			if len(errs) != len(c.want) {
				t.Fatalf("got %v, want %d errors", err, len(c.want))
			}
			for i, want := range c.want {
				if !strings.Contains(errs[i].Error(), want) {
					t.Errorf("got %q, want %q in it", errs[i].Error(), want)
				}
			}
			if len(c.want) > 0 {
				return
			}
			if got := snapshot.Warnings; c.warning == "" && len(got) > 0 || c.warning != "" && (len(got) != 1 || !strings.Contains(got[0].Error(), c.warning)) {
				t.Errorf("warnings %v, want %q", got, c.warning)
			}
		})
	}
}

// What has run out while it served must not keep an edit from being applied; an
// edit that brings it in is refused.
func TestWhatServesAlreadyMayRunOutAndOnlyThat(t *testing.T) {
	dir, ca := t.TempDir(), tlstest.NewCA(t, "CA")
	expired, ancient := tlstest.Template(t, "x"), tlstest.Template(t, "CA")
	expired.NotAfter = time.Now().Add(-time.Minute)
	ancient.IsCA, ancient.BasicConstraintsValid, ancient.NotAfter = true, true, expired.NotAfter
	write := func(name string) {
		cert, key := ca.Issue(t, expired)
		tlstest.WritePair(t, dir, name, cert, key)
		cert, key = ca.Issue(t, ancient)
		tlstest.WritePair(t, dir, name+"-ca", cert, key)
	}
	write("old")
	load := func(yaml string, running *config.Snapshot) (*config.Snapshot, config.Errors) {
		t.Helper()
		path := tlstest.WriteFile(t, dir, "config.yaml", []byte(yaml))
		snapshot, err := config.Load(t.Context(), path, config.Options{RetryFor: -1, Running: running}, new(section))
		var errs config.Errors
		if err != nil && !errors.As(err, &errs) {
			t.Fatal(err)
		}
		return snapshot, errs
	}
	const yaml = "cluster: {ca_cert: old-ca.crt, client_cert: old.crt, client_key: old.key}\n" +
		"listener: {certificates: [{cert: old.crt, key: old.key}], client_auth: {mode: require, ca_cert: old-ca.crt}}\n"
	running, errs := load(yaml, nil)
	if len(errs) != 4 {
		t.Fatalf("while nothing serves: %v", errs)
	}
	snapshot, errs := load(yaml, running)
	if len(errs) > 0 || len(snapshot.Warnings) != 4 {
		t.Fatalf("while it serves: %v, warnings %v", errs, snapshot.Warnings)
	}
	for i, want := range []string{
		"cluster.ca_cert: every CA of the file has expired, the last on " + date(ancient.NotAfter),
		"cluster.client_cert: the certificate expired on " + date(expired.NotAfter),
		"listener.certificates[0].cert: the certificate expired on " + date(expired.NotAfter),
		"listener.client_auth.ca_cert: every CA of the file has expired, the last on " + date(ancient.NotAfter),
	} {
		if got := snapshot.Warnings[i].Error(); !strings.HasSuffix(got, want+"; it serves on, since it was in force already; replace it") {
			t.Errorf("warning %q, want %q", got, want)
		}
	}
	write("new")
	if _, errs := load(strings.ReplaceAll(yaml, "old", "new"), running); len(errs) != 4 {
		t.Errorf("of other content, while the old serves: %v", errs)
	}
}

// A thousand clusters name one key: to decrypt it takes as long as an operator
// wanted it to.
func TestAllThatNameAFileShareWhatItIsReadAs(t *testing.T) {
	dir, ca := t.TempDir(), tlstest.NewCA(t, "CA")
	cert, key := ca.Server(t, "localhost")
	tlstest.WritePair(t, dir, "good", cert, key)
	tlstest.WriteFile(t, dir, "ca.crt", ca.PEM())
	tlstest.WriteFile(t, dir, "ca.crl", ca.CRL(t, time.Now().Add(time.Hour)))
	path := tlstest.WriteFile(t, dir, "config.yaml", []byte(`
listener:
  certificates: [{cert: good.crt, key: good.key}]
  client_auth: &auth {mode: require, ca_cert: ca.crt, crl: ca.crl}
  policies: [{hosts: [a.example], client_auth: *auth}, {hosts: [b.example], certificates: [{cert: ./good.crt, key: good.key}]}]
cluster: {ca_cert: ca.crt, client_cert: good.crt, client_key: good.key}
`))
	var cfg section
	if _, err := config.Load(t.Context(), path, config.Options{}, &cfg); err != nil {
		t.Fatal(err)
	}
	server := snapshot(t, cfg.Listener, nil)
	client, err := NewClient(cfg.Cluster)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range server.policies {
		if p.certificates[0].identity != client.identity || p.trust != client.trust || p.crls != server.policies[0].crls {
			t.Errorf("policy %d has values of its own", i)
		}
	}
}
