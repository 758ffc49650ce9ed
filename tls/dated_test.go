package tls

import (
	"slices"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// uses says what is listed, and for what.
func uses(list []Dated) []string {
	var all []string
	for _, d := range list {
		all = append(all, d.Subject+d.Use)
	}
	return all
}

func TestWhatAPolicyHasFromItsListenerIsListedOnce(t *testing.T) {
	ca, others := tlstest.NewCA(t, "CA"), tlstest.NewCA(t, "others")
	first, second := pair(ca.Server(t, "first")), pair(ca.Server(t, "second"))
	list := file(ca.CRL(t, time.Now().Add(time.Hour)))
	auth := ClientAuth{Mode: ClientAuthRequire, CACert: file(ca.PEM()), CRL: list}
	s := snapshot(t, &ServerConfig{
		Certificates: []KeyPair{first},
		ClientAuth:   auth,
		Policies: []Policy{
			{Hosts: []string{"a.test"}},
			{Hosts: []string{"aa.test"}, ClientAuth: &auth},
			{Hosts: []string{"b.test", "c.test"}, Certificates: []KeyPair{first, second}, ClientAuth: &ClientAuth{Mode: ClientAuthRequest, CACert: file(others.PEM()), CRL: list}},
			{Hosts: []string{"d.test"}, ClientAuth: &ClientAuth{Mode: ClientAuthNone, CACert: file(others.PEM())}},
		},
	}, nil)
	want := []string{
		"first", "CN=CA, client CA", "CN=CA, crl",
		"second, policy b.test", "CN=others, policy b.test, client CA",
	}
	if got := uses(s.Dated()); !slices.Equal(got, want) {
		t.Errorf("listed\n%q, want\n%q", got, want)
	}
}

// An intermediate that runs out first ends what it is needed for.
func TestAnIdentityEndsWithTheFirstOfItsChain(t *testing.T) {
	ca := tlstest.NewCA(t, "CA")
	below, template := ca.Intermediate(t, "intermediate"), tlstest.Template(t, "gateway")
	template.NotAfter = below.Cert.NotAfter.Add(time.Hour)
	certPEM, keyPEM := below.Issue(t, template)
	c, err := NewClient(&ClientConfig{CACert: file(ca.PEM()), ClientCert: file(certPEM), ClientKey: secret(keyPEM)})
	if err != nil {
		t.Fatal(err)
	}
	list := c.Dated()
	if want := []string{"CN=gateway", "CN=CA, server CA"}; !slices.Equal(uses(list), want) {
		t.Fatalf("listed %q, want %q", uses(list), want)
	}
	if got := list[0]; !got.NotAfter.Equal(below.Cert.NotAfter) || !got.NotBefore.Equal(c.identity.Leaf.NotBefore) || got.Serial.Cmp(c.identity.Leaf.SerialNumber) != 0 {
		t.Errorf("%+v", got)
	}
}

// An agent phases CAs out: they stay in its bundle to their end, beside those
// that come after them. In a file, each is the operator's.
func TestADeliveredBundleEndsWithItsLastCA(t *testing.T) {
	ca := tlstest.NewCA(t, "CA")
	template := tlstest.Template(t, "on its way out")
	template.IsCA, template.BasicConstraintsValid, template.NotAfter = true, true, time.Now().Add(time.Minute)
	leaving, _ := ca.Issue(t, template)
	certPEM, keyPEM := ca.Client(t, "gateway")
	for from, c := range map[string]struct {
		of   func([]byte) config.File
		want string
	}{"a file": {file, ""}, "a Workload API": {delivered, "CN=on its way out, server CA"}} {
		of, want := c.of, c.want
		c, err := NewClient(&ClientConfig{CACert: of(slices.Concat(leaving, ca.PEM())), ClientCert: of(certPEM), ClientKey: config.Secret{File: of(keyPEM)}})
		if err != nil {
			t.Fatal(err)
		}
		outlived := ""
		for _, d := range c.Dated() {
			if d.Delivered != (want != "") {
				t.Errorf("%s: %+v", from, d)
			}
			if d.Outlived {
				outlived += d.Subject + d.Use
			}
		}
		if outlived != want {
			t.Errorf("%s: outlived is %q, want %q", from, outlived, want)
		}
	}
}
