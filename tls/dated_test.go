package tls

import (
	"slices"
	"testing"
	"time"

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
