package rotation_test

import (
	cryptotls "crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// rotations are what can be rotated.
var rotations = []struct {
	name   string
	rotate func(*rotationTable)
}{
	{"server pair", (*rotationTable).serverPair}, {"client pair", (*rotationTable).clientPair},
	{"server CA", (*rotationTable).serverAuthority}, {"CRL", (*rotationTable).revocation},
	{"client CA", (*rotationTable).clientAuthority}, {"SPIFFE bundle", (*rotationTable).spiffeBundle},
	{"ACME issuer", (*rotationTable).acmeIssuer},
}

func (t *rotationTable) serverPair() {
	t.breaks("server.crt")
	cert, key := t.serverCA.Server(t, "localhost", "127.0.0.1")
	t.replace("server", cert, key)
	t.leaf = harness.CertificateOf(cert, key)(t).Leaf
	t.everywhere("the new certificate", t.same)
}

func (t *rotationTable) clientPair() {
	t.breaks("client.key")
	cert, key := t.a.Client(t, "gateway anew")
	t.replace("client", cert, key)
	t.cn = "gateway anew"
	t.everywhere("the new identity", t.same)
}

func (t *rotationTable) serverAuthority() {
	t.breaks("upstream.crt")
	ca := tlstest.NewCA(t, "upstreams anew")
	shown := harness.CertificateOf(ca.Server(t, "localhost", "127.0.0.1"))(t)
	old := t.upstreams.shown.Swap(&shown)
	refused := func(protocol string) error {
		if cn, err := t.who(protocol); err == nil {
			return fmt.Errorf("it was believed: %s", cn)
		}
		return nil
	}
	t.everywhere("an upstream of an unknown CA to be refused", refused)
	t.put(file{"upstream.crt", ca.PEM()})
	t.everywhere("the new CA to be believed", t.same)
	t.upstreams.shown.Store(old)
	t.everywhere("an upstream of the old CA to be refused", refused)
	t.upstreams.shown.Store(&shown)
	t.everywhere("the new CA to be believed again", t.same)
}

func (t *rotationTable) revocation() {
	cert, key := t.a.Client(t, "revoked")
	bad, good := harness.CertificateOf(cert, key)(t), harness.CertificateOf(t.a.Client(t, "good"))(t)
	in := func(protocol string) error {
		_, _, err := t.sees(protocol, "public", "/", t.serverCA.PEM(), harness.WithCertificate(bad))
		return err
	}
	out := func(protocol string) error {
		if _, _, err := t.sees(protocol, "public", "/", t.serverCA.PEM(), harness.WithCertificate(good)); err != nil {
			return testkit.Fatal(fmt.Errorf("the other client: %w", err))
		}
		if in(protocol) == nil {
			return errors.New("the revoked client gets in")
		}
		return nil
	}
	t.breaks("clients.crl", in)
	t.put(t.crl(cert))
	t.everywhere("the revoked client to be refused", out)
	t.breaks("clients.crl", out)
}

func (t *rotationTable) clientAuthority() {
	t.breaks("clients.crt")
	old := harness.CertificateOf(t.a.Client(t, "old"))(t)
	t.a = tlstest.NewCA(t, "c")
	fresh := harness.CertificateOf(t.a.Client(t, "new"))(t)
	t.put(file{"clients.crt", slices.Concat(t.a.PEM(), t.b.PEM())}, t.crl())
	t.everywhere("the new CA's clients, and not the old one's", func(protocol string) error {
		if _, _, err := t.sees(protocol, "public", "/", t.serverCA.PEM(), harness.WithCertificate(fresh)); err != nil {
			return err
		}
		if _, _, err := t.sees(protocol, "public", "/", t.serverCA.PEM(), harness.WithCertificate(old)); err == nil {
			return errors.New("an old one gets in")
		}
		return nil
	})
}

// The new CA joins the bundle before the old one leaves it, as rotations of
// SPIFFE go.
func (t *rotationTable) spiffeBundle() {
	t.breaks("bundle.crt")
	oldBundle := harness.Read(t, t.dir, "bundle.crt")
	old := harness.CertificateOf(harness.Read(t, t.dir, "svid.crt"), harness.Read(t, t.dir, "svid.key"))(t)
	cert, key, bundle := t.svid("/gateway")
	fresh := harness.CertificateOf(cert, key)(t)
	as := func(me cryptotls.Certificate) func(*cryptotls.Config) {
		return func(cfg *cryptotls.Config) {
			cfg.Certificates, cfg.InsecureSkipVerify = []cryptotls.Certificate{me}, true
		}
	}
	enters := func(protocol string, me cryptotls.Certificate) error {
		_, leaf, err := t.sees(protocol, "mesh", "/", nil, as(me))
		if err == nil && !leaf.Equal(fresh.Leaf) {
			err = errors.New("the old SVID is shown")
		}
		return err
	}

	untouched, going := t.streams("mesh", as(old)), t.streams("mesh", as(old))
	t.put(append(pair("svid", cert, key), file{"bundle.crt", slices.Concat(oldBundle, bundle)})...)
	t.everywhere("both CAs' workloads", func(protocol string) error {
		return errors.Join(enters(protocol, fresh), enters(protocol, old))
	})
	staying := t.streams("mesh", as(fresh))
	for _, o := range untouched {
		o.Finish()
	}
	t.put(file{"bundle.crt", bundle})
	t.everywhere("the new CA's workloads, and not the old one's", func(protocol string) error {
		if err := enters(protocol, fresh); err != nil {
			return err
		}
		if enters(protocol, old) == nil {
			return errors.New("a workload of the old bundle gets in")
		}
		return nil
	})
	for _, o := range going {
		o.ExpectEnd()
		o.Leave()
	}
	for _, o := range staying {
		o.Finish()
	}
}

func (t *rotationTable) acmeIssuer() {
	by := func(roots *x509.CertPool) func(*cryptotls.Config) {
		return func(cfg *cryptotls.Config) { cfg.ServerName, cfg.RootCAs = harness.ACMEName, roots }
	}
	issued := func(roots *x509.CertPool) func(string) error {
		return func(protocol string) error {
			_, _, err := t.sees(protocol, "acme", "/", []byte{}, by(roots))
			return err
		}
	}
	t.everywhere("the first issuer's certificate", issued(t.one.Roots()))
	streams := t.streams("acme", by(t.one.Roots()))
	admin := "\nadmin: {address: \"unix:" + filepath.Join(t.dir, "a.sock") + "\"}\n"
	t.breaks("config.yaml", issued(t.one.Roots()))
	t.put(file{"config.yaml", []byte(t.config(t.two.Directory) + admin)})
	t.everywhere("the second issuer's certificate", issued(t.two.Roots()))
	for _, o := range streams {
		o.Finish()
	}
}
