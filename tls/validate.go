package tls

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/hostname"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls/spiffe"
)

// Validate checks the certificates of a listener.
func (c *ServerConfig) Validate(s *config.Scope) {
	if len(c.Certificates) == 0 && c.SPIFFE == nil {
		s.Errorf("certificates", "at least one certificate is needed")
	}
	if c.SPIFFE == nil {
		requireTrust(s, "client_auth.", &c.ClientAuth)
	}
	for i := range c.Policies {
		p := &c.Policies[i]
		if p.ClientAuth != nil && c.SPIFFE == nil {
			requireTrust(s, fmt.Sprintf("policies[%d].client_auth.", i), p.ClientAuth)
		}
		for j, host := range p.Hosts {
			if first, by := c.decidedBefore(i, j); by != "" {
				s.Errorf(fmt.Sprintf("policies[%d].hosts[%d]", i, j), "%s is decided by policies[%d] already, by %s, which stands before it", host, first, by)
			}
		}
	}
}

// decidedBefore finds the earlier host that leaves host j of policy i without
// effect.
func (c *ServerConfig) decidedBefore(i, j int) (policy int, host string) {
	// What is no host name is reported by Policy.Validate, and covers nothing.
	pattern, err := hostname.ParsePattern(c.Policies[i].Hosts[j])
	if err != nil {
		return 0, ""
	}
	for k, p := range c.Policies[:i+1] {
		for l, before := range p.Hosts {
			if k == i && l == j {
				break
			}
			if b, err := hostname.ParsePattern(before); err == nil && (b == pattern || k < i && b.Covers(pattern)) {
				return k, before
			}
		}
	}
	return 0, ""
}

// Validate checks the names of a policy.
func (p *Policy) Validate(s *config.Scope) {
	if len(p.Hosts) == 0 && s.IsSet("hosts") {
		s.Errorf("hosts", "at least one name is needed; what holds for every other name stands in tls itself")
	}
	for i, host := range p.Hosts {
		if err := checkPolicyHost(host); err != nil {
			s.Errorf(fmt.Sprintf("hosts[%d]", i), "%v", err)
		}
	}
}

// Validate checks that certificate and key are there, fit, and are in date.
func (p *KeyPair) Validate(s *config.Scope) {
	if len(p.ACME) > 0 || s.IsSet("acme") {
		p.validateACME(s)
		return
	}
	if p.Cert.IsZero() && p.Key.IsZero() {
		s.Errorf("", "cert and key are needed, or acme")
		return
	}
	validatePair(s, "cert", p.Cert, "key", p.Key, "key_passphrase_file", p.Passphrase)
}

func (p *KeyPair) validateACME(s *config.Scope) {
	if len(p.ACME) == 0 {
		s.Errorf("acme", "at least one name is needed")
	}
	for _, key := range []string{"cert", "key", "key_passphrase_file"} {
		if s.IsSet(key) {
			s.Errorf(key, "a certificate is from files or by acme, not both")
		}
	}
	for i, name := range p.ACME {
		at := fmt.Sprintf("acme[%d]", i)
		if err := checkACMEName(name); err != nil {
			s.Errorf(at, "%v", err)
		}
	}
}

// Validate checks where the Workload API is.
func (p *SPIFFE) Validate(s *config.Scope) {
	if p.Socket == "" {
		return
	}
	if err := spiffe.CheckSocket(p.Socket); err != nil {
		s.Errorf("socket", "%v", err)
	}
}

// requireTrust reports a client authentication that no client could pass.
func requireTrust(s *config.Scope, at string, a *ClientAuth) {
	if a.asks() && a.CACert.IsZero() {
		s.Errorf(at+"ca_cert", "is needed, since mode is %s", a.Mode)
	}
}

// Validate checks that the mode and what belongs to it agree.
func (a *ClientAuth) Validate(s *config.Scope) {
	for _, name := range a.AllowedNames {
		if err := CheckName(name); err != nil {
			s.Errorf("allowed_names", "%v", err)
		}
	}
	ValidateTrust(s, "ca_cert", a.CACert)
	a.validateCRL(s)
	if a.asks() {
		return
	}
	for _, unused := range []struct {
		field string
		set   bool
	}{{"ca_cert", !a.CACert.IsZero()}, {"allowed_names", len(a.AllowedNames) > 0}, {"crl", !a.CRL.IsZero()}, {"forward", a.Forward}} {
		switch {
		case !unused.set:
			continue
		case s.IsSet("mode"):
			s.Warnf(unused.field, "has no effect, since mode is none")
		default:
			// An operator who names a CA and forgets the mode believes to be protected.
			s.Errorf(unused.field, "has no effect without a mode: set mode to request or require")
		}
		return
	}
}

// validateCRL reports on the revocation lists; there may be none.
func (a *ClientAuth) validateCRL(s *config.Scope) {
	if a.CRL.IsZero() {
		if a.CRLExpired == CRLExpiredAccept {
			s.Warnf("crl_expired", "has no effect without crl")
		}
		return
	}
	lists, err := crlsOf(a.CRL)
	if err != nil {
		report(s, "crl", err)
		return
	}
	if end := lists.NotAfter(); !end.IsZero() && time.Now().After(end) {
		// Not an error: it must not keep the rest of an edit from being applied,
		// and handshakes are decided one by one.
		s.Warnf("crl", "a revocation list expired on %s; crl_expired is %s", date(end), a.CRLExpired)
	}
	for _, l := range lists.lists {
		if l.early(time.Now()) {
			s.Warnf("crl", "the revocation list of %q is not valid before %s, and lets no client in till then; is one of the clocks wrong?", l.list.Issuer, date(l.list.ThisUpdate))
		}
	}
	if trust, err := TrustOf(a.CACert); err == nil {
		for _, name := range lists.missing(trust) {
			s.Warnf("crl", "there is no list of the CA %s; its clients are refused", name)
		}
	}
}

// Validate checks a cluster's identity, trust and names.
func (c *ClientConfig) Validate(s *config.Scope) {
	ValidateTrust(s, "ca_cert", c.CACert)
	validatePair(s, "client_cert", c.ClientCert, "client_key", c.ClientKey, "client_key_passphrase_file", c.Passphrase)
	c.validateSPIFFE(s)
	if strings.ContainsAny(c.ServerName, "/ *") || hasPort(c.ServerName) {
		s.Errorf("server_name", "%q is not a host name; scheme, port and wildcards do not belong to it", c.ServerName)
	}
	for _, name := range c.VerifyNames {
		if err := CheckName(name); err != nil {
			s.Errorf("verify_names", "%v", err)
		}
	}
	if c.InsecureSkipVerify {
		s.Warnf("insecure_skip_verify", "servers are not verified: an attacker on the network can read and change what is sent")
	}
}

func (c *ClientConfig) validateSPIFFE(s *config.Scope) {
	if c.SPIFFE == nil {
		return
	}
	for _, key := range []string{"ca_cert", "client_cert", "client_key"} {
		if s.IsSet(key) {
			s.Errorf(key, "comes from the Workload API, since spiffe is set")
		}
	}
	if len(c.VerifyNames) == 0 && !c.InsecureSkipVerify {
		s.Errorf("verify_names", "is needed with spiffe: a workload's certificate holds no host name, but a SPIFFE ID such as spiffe://example.org/server")
	}
}

// hasPort tells a host:port from an IPv6 address.
func hasPort(host string) bool { return strings.Count(host, ":") == 1 }

// validatePair reports on the key pair of two fields; both may be absent.
func validatePair(s *config.Scope, certField string, cert config.File, keyField string, key config.Secret, passField string, passphrase config.Secret) {
	switch {
	case cert.IsZero() && key.IsZero():
		if !passphrase.IsZero() {
			s.Errorf(passField, "has no effect without %s", keyField)
		}
		return
	case key.IsZero():
		s.Errorf(keyField, "is missing: %s has no key", certField)
		return
	case cert.IsZero():
		s.Errorf(certField, "is missing: %s has no certificate", keyField)
		return
	}
	_, certErr := chainOf(cert)
	report(s, certField, certErr)
	_, keyErr := keyOf(key, passphrase)
	if errors.Is(keyErr, errNoPassphrase) && !passphrase.IsZero() {
		report(s, passField, torn("the file is empty, and should hold the passphrase of %s", keyField))
	} else {
		report(s, keyField, keyErr)
	}
	if certErr != nil || keyErr != nil {
		return
	}
	id, err := identityOf(cert, key, passphrase)
	if err != nil {
		report(s, keyField, err)
		return
	}
	reportDates(s, certField, cert, id.checkDates(time.Now()))
	if id.reordered {
		s.Warnf(certField, "the certificates of the file are not in order; they are sent with the key's own first and each before its issuer")
	}
}

// ValidateTrust reports on the CA file of a field; it may be absent.
func ValidateTrust(s *config.Scope, field string, ca config.File) {
	if ca.IsZero() {
		return
	}
	trust, err := TrustOf(ca)
	if err != nil {
		report(s, field, err)
		return
	}
	reportDates(s, field, ca, trust.checkDates(time.Now()))
	if trust.ignored > 0 {
		s.Warnf(field, "%d certificates of the file are no CA, and are not believed", trust.ignored)
	}
}

// reportDates reports what is out of date. It is no mistake of an edit where it
// serves already: else one certificate that ran out would keep everything from
// being applied, the revocation of another included.
func reportDates(s *config.Scope, field string, f config.File, err error) {
	if err != nil && s.Serves(f) {
		s.Warnf(field, "%v; it serves on, since it was in force already; replace it", err)
		return
	}
	report(s, field, err)
}

func report(s *config.Scope, field string, err error) {
	switch {
	case err == nil:
	case isTorn(err):
		s.Transientf(field, "%v", err)
	default:
		s.Errorf(field, "%v", err)
	}
}
