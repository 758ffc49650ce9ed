package acme

import (
	"cmp"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls"
)

// The challenges that can be answered.
const (
	ChallengeTLSALPN01 = "tls-alpn-01"
	ChallengeHTTP01    = "http-01"
)

// Config is the section acme: one account with one certificate authority.
type Config struct {
	Email           string          `yaml:"email" doc:"Where the certificate authority writes to." example:"ops@example.com"`
	Directory       string          `yaml:"directory" default:"https://acme-v02.api.letsencrypt.org/directory" doc:"URL of the ACME directory; to name it is to agree to the authority's terms of service."`
	CACert          config.File     `yaml:"ca_cert" doc:"PEM file of CAs that are trusted, besides the system's, when the directory is called." example:"certs/acme-ca.crt"`
	Storage         config.Path     `yaml:"storage" default:"/var/lib/mcpgateway/acme" doc:"Directory of the account, its certificates and keys; gateways that share it share them."`
	Challenges      []string        `yaml:"challenges" default:"[tls-alpn-01, http-01]" enum:"tls-alpn-01,http-01" doc:"How control over a name is proved."`
	ExternalAccount ExternalAccount `yaml:"external_account" doc:"Binds the ACME account to one that exists with the authority."`
}

// ExternalAccount is the external account binding of RFC 8555, 7.3.4.
type ExternalAccount struct {
	KeyID  string        `yaml:"key_id" doc:"Key identifier that the authority handed out."`
	MACKey config.Secret `yaml:"mac_key_file" doc:"File of the MAC key that the authority handed out, in base64url."`
}

// Validate checks the directory, what is trusted there, and the account.
func (c *Config) Validate(s *config.Scope) {
	if u, err := url.Parse(c.Directory); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		s.Errorf("directory", "%q is not an https URL, such as https://acme.example.com/directory", c.Directory)
	}
	if strings.ContainsAny(c.Email, " ,<>\t") || c.Email != "" && strings.Count(c.Email, "@") != 1 {
		s.Errorf("email", "%q is not one bare e-mail address", c.Email)
	}
	tls.ValidateTrust(s, "ca_cert", c.CACert)
	if c.Storage == "" {
		s.Errorf("storage", "a directory is needed, which outlives the process: authorities limit how often a certificate is issued")
	}
	if len(c.Challenges) == 0 {
		s.Errorf("challenges", "at least one challenge is needed: %s or %s", ChallengeTLSALPN01, ChallengeHTTP01)
	}
}

// Validate checks that the binding is complete.
func (e *ExternalAccount) Validate(s *config.Scope) {
	switch {
	case e.KeyID == "" && e.MACKey.IsZero():
	case e.KeyID == "":
		s.Errorf("key_id", "is missing: mac_key_file needs it")
	case e.MACKey.IsZero():
		s.Errorf("mac_key_file", "is missing: key_id needs it")
	default:
		if _, err := e.macKey(); err != nil {
			s.Errorf("mac_key_file", "%v", err)
		}
	}
}

// macKey is the MAC key in base64url without padding. Some authorities hand it
// out padded, some in the standard alphabet.
func (e *ExternalAccount) macKey() (string, error) {
	text := strings.TrimRight(strings.TrimSpace(string(e.MACKey.Data)), "=")
	text = strings.NewReplacer("+", "-", "/", "_").Replace(text)
	key, err := base64.RawURLEncoding.DecodeString(text)
	switch {
	case err != nil:
		// The decoder's error would show where the secret is odd.
		return "", errors.New("the file does not hold base64url, as authorities hand MAC keys out")
	case len(key) == 0:
		return "", errors.New("the file is empty")
	}
	return text, nil
}

// roots are the system's, and the CAs of a PEM file.
func roots(ca config.File) (*x509.CertPool, error) {
	trust, err := tls.TrustOf(ca)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // a container without any
	}
	for _, ca := range trust.CAs() {
		pool.AddCert(ca)
	}
	return pool, nil
}

// Dated lists the CAs of the file.
func (c *Config) Dated() []tls.Dated {
	trust, err := tls.TrustOf(c.CACert)
	if err != nil {
		return nil // there is no file, as Validate would have said
	}
	return trust.Dated(", directory CA")
}

// storagePath is the directory under its shortest name.
func (c *Config) storagePath() string { return filepath.Clean(string(c.Storage)) }

// holder tells accounts with one authority apart. One that is bound to an
// external account is another one.
func (c *Config) holder() string {
	holder := cmp.Or(c.Email, "default")
	if id := c.ExternalAccount.KeyID; id != "" {
		holder += "_eab_" + id
	}
	return holder
}

// definition differs where two configurations are different accounts.
func (c *Config) definition() [32]byte {
	account := *c
	account.Storage, account.Challenges = config.Path(c.storagePath()), nil
	return config.Fingerprint(account)
}
