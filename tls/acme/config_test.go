package acme

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// section is a configuration file with the block of this package.
type section struct {
	ACME *Config `yaml:"acme"`
}

func TestEachMistakeInTheFileHasItsOwnError(t *testing.T) {
	dir := t.TempDir()
	ca := tlstest.NewCA(t, "CA")
	tlstest.WriteFile(t, dir, "ca.crt", ca.PEM())
	leaf, _ := ca.Server(t, "localhost")
	tlstest.WriteFile(t, dir, "leaf.crt", leaf)
	old := tlstest.Template(t, "old CA")
	old.IsCA, old.BasicConstraintsValid = true, true
	old.NotBefore, old.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
	expired, _ := ca.Issue(t, old)
	tlstest.WriteFile(t, dir, "expired.crt", expired)
	tlstest.WriteFile(t, dir, "noca.crt", []byte("nothing\n"))
	tlstest.WriteFile(t, dir, "mac", []byte(base64.URLEncoding.EncodeToString([]byte("a key of 25 bytes, padded"))+"\n"))
	tlstest.WriteFile(t, dir, "badmac", []byte("not base64!\n"))
	tlstest.WriteFile(t, dir, "empty", nil)
	for _, c := range []struct{ name, yaml, want string }{
		{"defaults", "{}", ""},
		{"all", "{email: ops@example.com, directory: https://acme.example.com/dir, ca_cert: ca.crt, storage: acme, challenges: [http-01], external_account: {key_id: kid, mac_key_file: mac}}", ""},
		{"http directory", "{directory: http://acme.example.com/dir}", "acme.directory: \"http://acme.example.com/dir\" is not an https URL"},
		{"no host", "{directory: \"https:///dir\"}", "acme.directory:"},
		{"two addresses", "{email: \"a@b.c, d@e.f\"}", "acme.email: \"a@b.c, d@e.f\" is not one bare"},
		{"mailto", "{email: \"ops\"}", "acme.email: \"ops\" is not one bare"},
		{"no CA", "{ca_cert: noca.crt}", "acme.ca_cert: the file is not PEM"},
		{"no CA in it", "{ca_cert: leaf.crt}", "acme.ca_cert: the file holds no CA"},
		{"CA that has expired", "{ca_cert: expired.crt}", "acme.ca_cert: every CA of the file has expired"},
		{"no challenge", "{challenges: []}", "acme.challenges: at least one challenge"},
		{"unknown challenge", "{challenges: [dns-01]}", "acme.challenges[0]:"},
		{"half a binding", "{external_account: {key_id: kid}}", "acme.external_account.mac_key_file: is missing"},
		{"other half", "{external_account: {mac_key_file: mac}}", "acme.external_account.key_id: is missing"},
		{"bad MAC key", "{external_account: {key_id: kid, mac_key_file: badmac}}", "acme.external_account.mac_key_file: the file does not hold base64url"},
		{"empty MAC key", "{external_account: {key_id: kid, mac_key_file: empty}}", "acme.external_account.mac_key_file: the file is empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := tlstest.WriteFile(t, dir, "config.yaml", []byte("acme: "+c.yaml+"\n"))
			var s section
			_, err := config.Load(t.Context(), path, config.Options{}, &s)
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, without %q", err, c.want)
			}
		})
	}
}

func TestADefinitionIsEveryPartOfTheAccount(t *testing.T) {
	base := Config{
		Directory: "https://a/", Storage: "/s", CACert: config.File{Path: "/ca"},
		ExternalAccount: ExternalAccount{MACKey: config.Secret{File: config.File{Path: "/mac"}}},
	}
	for what, change := range map[string]func(*Config){
		"directory": func(c *Config) { c.Directory = "https://b/" },
		"email":     func(c *Config) { c.Email = "a@b" },
		"CA":        func(c *Config) { c.CACert.Data = []byte("x") },
		"storage":   func(c *Config) { c.Storage = "/t" },
		"key id":    func(c *Config) { c.ExternalAccount.KeyID = "k" },
		"MAC key":   func(c *Config) { c.ExternalAccount.MACKey.Data = []byte("x") },
	} {
		changed := base
		change(&changed)
		if changed.definition() == base.definition() {
			t.Errorf("another %s is the same account", what)
		}
	}
	same := base
	same.Storage, same.Challenges = "/s/", []string{ChallengeHTTP01}
	if same.definition() != base.definition() {
		t.Error("other challenges are another account")
	}
}
