package tls

import (
	"context"
	"errors"
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
		{name: "ACME", yaml: "listener: {certificates: [{acme: [x.test]}]}", want: []string{"not supported by this version"}},
		{name: "CRL", yaml: "listener: {" + good + ", client_auth: {mode: require, ca_cert: ca.crt, crl: x}}", want: []string{"client_auth.crl: not supported by this version"}},
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
