package filter

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpgateway/mcpgateway/internal/hostname"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls"
)

// Validate wants something to be asked for.
func (c *AuthConfig) Validate(s *config.Scope) {
	if c.JWT == nil && c.ClientCert == nil && !s.IsSet("jwt") && !s.IsSet("client_cert") {
		s.Errorf("", "asks for nothing; give jwt or client_cert, or leave auth away to open the route")
	}
}

// Validate refuses names that can match no certificate.
func (c *ClientCertConfig) Validate(s *config.Scope) {
	for i, name := range c.AllowedNames {
		if err := tls.CheckName(name); err != nil {
			s.Errorf(fmt.Sprintf("allowed_names[%d]", i), "%v", err)
		}
	}
}

// Validate checks the keys, and that each algorithm has one.
func (c *JWTConfig) Validate(s *config.Scope) {
	c.validateClaims(s)
	broken := false
	keys := c.localKeys(func(field, _ string, err error) {
		s.Errorf(field, "%v", err)
		broken = true
	})
	if len(c.HMACSecretFiles)+len(c.PublicKeyFiles) == 0 && c.JWKS.File.IsZero() && c.JWKS.URL == "" {
		s.Errorf("", "no key to verify tokens with; give hmac_secret_files, public_key_files or jwks")
		return
	}
	if broken {
		return
	}
	for i, a := range c.Algorithms {
		fits := slices.ContainsFunc(keys, func(k key) bool { return slices.Contains(k.algorithms, a) })
		if !fits && (c.JWKS.URL == "" || slices.Contains(symmetric, a)) {
			s.Errorf(fmt.Sprintf("algorithms[%d]", i), "no key is for %s%s", a, secretHint(a))
		}
	}
	if len(c.Audiences) == 0 {
		s.Warnf("audiences", "without it every token of the issuer is accepted, also one that was made for another service")
	}
}

func (c *JWTConfig) validateClaims(s *config.Scope) {
	distinct := func(key string, names []string) {
		for i, name := range names {
			if name == "" {
				s.Errorf(fmt.Sprintf("%s[%d]", key, i), "is empty")
			} else if slices.Contains(names[:i], name) {
				s.Errorf(fmt.Sprintf("%s[%d]", key, i), "%q stands there already", name)
			}
		}
	}
	distinct("require", c.Require)
	distinct("principal_claims", c.PrincipalClaims)
	distinct("types", c.Types)
	if len(c.PrincipalClaims) == 0 {
		s.Errorf("principal_claims", "names no claim; the default is [sub]")
	}
	if !slices.Contains(c.Require, "exp") {
		s.Warnf("require", "without exp a token that has none is accepted for ever")
	}
	if !slices.Contains(c.Require, "sub") {
		s.Warnf("require", "without sub all tokens that name no principal are one: they share sessions and limits")
	}
}

func secretHint(algorithm string) string {
	if least := leastSecret[algorithm]; least > leastSecret["HS256"] {
		return fmt.Sprintf(", whose secret must have at least %d bytes", least)
	}
	return ""
}

// Validate checks the URL and its trust.
func (c *JWKSConfig) Validate(s *config.Scope) {
	if c.URL == "" {
		if !c.CACert.IsZero() {
			s.Errorf("ca_cert", "is trust for url, which is not given")
		}
		return
	}
	u, err := url.Parse(c.URL)
	switch {
	case err != nil:
		s.Errorf("url", "%q is not a URL", c.URL)
	case u.Scheme != "https" && u.Scheme != "http":
		s.Errorf("url", "%q is not a URL of scheme https", c.URL)
	case u.Host == "" || u.User != nil || u.Fragment != "":
		s.Errorf("url", "%q must have a host, and neither user nor fragment", c.URL)
	case u.Scheme == "http" && !hostname.Loopback(strings.ToLower(u.Hostname())):
		s.Warnf("url", "over plain http an attacker on the network can put in keys of their own; use https")
	}
	if !c.CACert.IsZero() {
		if u != nil && u.Scheme == "http" {
			s.Errorf("ca_cert", "is trust for https, but url is %s", c.URL)
		} else if _, err := tls.TrustOf(c.CACert); err != nil {
			s.Errorf("ca_cert", "%v", err)
		}
	}
}
