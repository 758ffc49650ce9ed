package acme

import (
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls/acme/acmetest"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

const mac = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"

func binding(keyID, macKey string) ExternalAccount {
	return ExternalAccount{KeyID: keyID, MACKey: config.Secret{File: config.File{Path: "mac", Data: []byte(macKey)}}}
}

// Certificates are stored, so that nothing is due for weeks.
func TestAChangedAccountIsRegisteredAtOnceAndItsErrorsShow(t *testing.T) {
	t.Parallel()
	p, g, right := withAuthority(t, acmetest.Options{ExternalAccounts: map[string]string{"kid-1": mac, "kid-2": mac}})
	right.ExternalAccount = binding("kid-1", mac)
	g.Commit(right, []string{name}, both)
	g.await("obtained " + name)
	leaf := g.leaf(name)
	untouched := func(what string) {
		t.Helper()
		if !g.leaf(name).Equal(leaf) || p.Issued() != 1 {
			t.Errorf("%s: the certificate was not left alone", what)
		}
	}
	for _, c := range []struct {
		what   string
		change func(*Config)
		want   string // an error; empty: none
	}{
		{"another MAC key", func(c *Config) { c.ExternalAccount = binding("kid-2", strings.ToLower(mac)) }, "external account binding JWS verification"},
		{"another CA", func(c *Config) { c.CACert.Data = tlstest.NewCA(t, "other").PEM() }, "certificate signed by unknown authority"},
		{"another external account", func(c *Config) { c.ExternalAccount = binding("kid-2", mac) }, ""},
		{"another e-mail address", func(c *Config) { c.Email = "new@example.com" }, ""},
	} {
		changed := *right
		c.change(&changed)
		g.Commit(&changed, []string{name}, both)
		if c.want == "" {
			g.await("registered")
			if err := g.lastError(name); err != nil {
				t.Errorf("%s: %v", c.what, err)
			}
		} else {
			g.await("unregistered")
			if err := g.lastError(name); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: error %v, without %q", c.what, err, c.want)
			}
		}
		untouched(c.what)
	}
}

func TestAnAuthorityThatComesUpLaterIsIntroducedTo(t *testing.T) {
	t.Parallel()
	p, g, cfg := withAuthority(t, acmetest.Options{})
	g.Commit(cfg, []string{name}, both)
	g.await("obtained " + name)
	p.Stop()
	other := *cfg
	other.Email = "new@example.com"
	g.Commit(&other, []string{name}, both)
	g.await("unregistered")
	g.await("unregistered")
	p.Restart()
	g.await("registered")
	if err := g.lastError(name); err != nil {
		t.Errorf("after a success the error is still %v", err)
	}
}

func TestAnAccountWithoutANameIsNotRegistered(t *testing.T) {
	t.Parallel()
	_, g, cfg := withAuthority(t, acmetest.Options{})
	g.Commit(cfg, nil, both)
	if g.account.introduced {
		t.Error("it is, though nothing needs it")
	}
	g.Commit(cfg, []string{name}, both)
	g.await("obtained " + name)
}
