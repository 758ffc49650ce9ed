package mutualtls_test

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/cmd/mcpgateway/internal/e2e/harness"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

const crlConfig = `
listeners:
  - name: public
    address: 127.0.0.1:0
    tls:
      certificates: [{cert: server.crt, key: server.key}]
      client_auth: {mode: require, ca_cert: clients.crt, crl: clients.crl}
routes:
  - {match: {path: /}, respond: {body: "here"}}
`

// An authority as operators keep it, with openssl ca. Such a one numbers its
// lists only if it is told to.
const opensslAuthority = `
[ca]
default_ca = this
[this]
database = index.txt
new_certs_dir = .
serial = serial
policy = any
default_md = sha256
default_days = 1
default_crl_days = 1
%s
[any]
commonName = supplied
[numbered]
authorityKeyIdentifier = keyid
[plain]
authorityKeyIdentifier = keyid
`

func TestRevocationListsAsOpenSSLMakesThem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, settings, form string }{
		{"with a number, PEM", "crlnumber = crlnumber\ncrl_extensions = numbered", "cp list.pem clients.crl"},
		{"without a number, PEM", "crl_extensions = plain", "cp list.pem clients.crl"},
		{"without a number, DER", "crl_extensions = plain", "openssl crl -in list.pem -outform DER -out clients.crl"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := harness.ShortDir(t)
			sh := func(script string) {
				t.Helper()
				cmd := exec.Command("sh", "-euc", script)
				cmd.Dir = dir
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%s: %v\n%s", script, err, out)
				}
			}
			harness.WriteFile(t, dir, "ca.cnf", fmt.Appendf(nil, opensslAuthority, c.settings))
			list := "\nopenssl ca -config ca.cnf -gencrl -keyfile clients.key -cert clients.crt -out list.pem\n" + c.form
			sh(`: > index.txt; echo 1000 > serial; echo 01 > crlnumber
				openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=clients -keyout clients.key -out clients.crt
				for n in good bad; do
					openssl req -new -newkey rsa:2048 -nodes -subj /CN=$n -keyout $n.key -out $n.csr
					openssl ca -batch -config ca.cnf -keyfile clients.key -cert clients.crt -notext -in $n.csr -out $n.crt
				done` + list)
			server := tlstest.NewCA(t, "servers")
			cert, key := server.Server(t, "127.0.0.1")
			tlstest.WritePair(t, dir, "server", cert, key)
			g := harness.Start(t, dir, crlConfig)
			enter := func(who string) error {
				hc, _ := harness.ClientOf(t, "http/1.1", server.PEM(), harness.WithCertificate(tlstest.Certificate(t, harness.Read(t, dir, who+".crt"), harness.Read(t, dir, who+".key"))))
				defer hc.CloseIdleConnections()
				_, _, _, err := harness.Ask(hc, "https://"+g.Address("public")+"/", "")
				return err
			}
			for _, who := range []string{"good", "bad"} {
				if err := enter(who); err != nil {
					t.Errorf("%s, which is not revoked: %v", who, err)
				}
			}
			listed := false
			for _, c := range g.Status().Certs {
				listed = listed || strings.HasSuffix(c.Use, "crl") && c.DaysLeft == 0 && !c.NotAfter.IsZero()
			}
			if !listed {
				t.Errorf("the list's end is not in the status: %+v", g.Status().Certs)
			}

			sh(`openssl ca -config ca.cnf -keyfile clients.key -cert clients.crt -revoke bad.crt` + list)
			g.Eventually("the revoked client to be refused", func() error {
				if enter("bad") == nil {
					return errors.New("it gets in")
				}
				return nil
			})
			if err := enter("good"); err != nil {
				t.Errorf("after the other was revoked: %v", err)
			}
		})
	}
}
