package tls

import (
	"strings"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/config"
)

// Validate checks the certificates of a listener.
func (c *ServerConfig) Validate(s *config.Scope) {
	if len(c.Certificates) == 0 {
		s.Errorf("certificates", "at least one certificate is needed")
	}
}

// Validate checks that certificate and key are there, fit, and are in date.
func (p *KeyPair) Validate(s *config.Scope) {
	if s.IsSet("acme") {
		return // refused as a whole
	}
	if p.Cert.IsZero() && p.Key.IsZero() {
		s.Errorf("", "cert and key are needed")
		return
	}
	validatePair(s, "cert", p.Cert, "key", p.Key)
}

// Validate checks that the mode and what belongs to it agree.
func (a *ClientAuth) Validate(s *config.Scope) {
	for _, name := range a.AllowedNames {
		if err := CheckName(name); err != nil {
			s.Errorf("allowed_names", "%v", err)
		}
	}
	validateTrust(s, "ca_cert", a.CACert)
	if a.Mode != ClientAuthNone && a.Mode != "" {
		if a.CACert.IsZero() {
			s.Errorf("ca_cert", "is needed, since mode is %s", a.Mode)
		}
		return
	}
	var unused string
	switch {
	case !a.CACert.IsZero():
		unused = "ca_cert"
	case len(a.AllowedNames) > 0:
		unused = "allowed_names"
	default:
		return
	}
	if s.IsSet("mode") {
		s.Warnf(unused, "has no effect, since mode is none")
		return
	}
	// Somebody who names a CA and forgets the mode believes to be protected.
	s.Errorf(unused, "has no effect without a mode: set mode to request or require")
}

// Validate checks a cluster's identity, trust and names.
func (c *ClientConfig) Validate(s *config.Scope) {
	validateTrust(s, "ca_cert", c.CACert)
	validatePair(s, "client_cert", c.ClientCert, "client_key", c.ClientKey)
	if strings.ContainsAny(c.ServerName, "/ *") || hasPort(c.ServerName) {
		s.Errorf("server_name", "%q is not a host name; scheme, port and wildcards do not belong to it", c.ServerName)
	}
	for _, name := range c.VerifyNames {
		if err := CheckName(name); err != nil {
			s.Errorf("verify_names", "%v", err)
		}
	}
	if c.InsecureSkipVerify {
		s.Warnf("insecure_skip_verify", "servers are not verified: anyone on the way can read and change what is sent")
	}
}

// hasPort tells a host:port from an IPv6 address.
func hasPort(host string) bool { return strings.Count(host, ":") == 1 }

// validatePair reports on the key pair of two fields; both may be absent.
func validatePair(s *config.Scope, certField string, cert config.File, keyField string, key config.Secret) {
	switch {
	case cert.IsZero() && key.IsZero():
		return
	case key.IsZero():
		s.Errorf(keyField, "is missing: %s has no key", certField)
		return
	case cert.IsZero():
		s.Errorf(certField, "is missing: %s has no certificate", keyField)
		return
	}
	chain, certErr := parseCertificates(cert.Data)
	report(s, certField, certErr)
	signer, keyErr := parseKey(key.Data)
	report(s, keyField, keyErr)
	if certErr != nil || keyErr != nil {
		return
	}
	id, err := newIdentity(chain, signer)
	if err != nil {
		report(s, keyField, err)
		return
	}
	report(s, certField, id.checkDates(time.Now()))
}

// validateTrust reports on the CA file of a field; it may be absent.
func validateTrust(s *config.Scope, field string, ca config.File) {
	if ca.IsZero() {
		return
	}
	trust, err := ParseTrust(ca.Data)
	if err != nil {
		report(s, field, err)
		return
	}
	report(s, field, trust.checkDates(time.Now()))
	if trust.ignored > 0 {
		s.Warnf(field, "%d certificates of the file are no CA, and are not believed", trust.ignored)
	}
}

func report(s *config.Scope, field string, err error) {
	switch {
	case err == nil:
	case Torn(err):
		s.Transientf(field, "%v", err)
	default:
		s.Errorf(field, "%v", err)
	}
}
