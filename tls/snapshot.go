package tls

import (
	cryptotls "crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/mcpgateway/mcpgateway/internal/hostname"
)

// ServerSnapshot is everything that decides about a downstream handshake: a
// policy for every server name. It is immutable but for ticket keys and what is
// made of both.
type ServerSnapshot struct {
	policies []*policy // in file order; the last is that of every other name
	managed  ACME      // nil where there is none
	configs  sync.Map  // offer to *built, for those that were asked for
}

// NewServerSnapshot parses what cfg names. Sessions begun under previous, which
// may be nil, resume only if nothing that a full handshake would show or ask
// for has changed: neither the client-auth policy nor a certificate. acme has
// the certificates that are not from files, and answers challenges; it may be
// nil where cfg has none.
func NewServerSnapshot(cfg *ServerConfig, previous *ServerSnapshot, acme ACME) (*ServerSnapshot, error) {
	if len(cfg.Certificates) == 0 {
		return nil, errors.New("tls: no certificate")
	}
	s := &ServerSnapshot{managed: acme}
	for i, c := range cfg.Resolved() {
		p, err := newPolicy(&c, acme)
		if err != nil {
			at := "tls"
			if i < len(cfg.Policies) {
				at = fmt.Sprintf("tls: policies[%d]", i)
			}
			return nil, fmt.Errorf("%s: %w", at, err)
		}
		s.policies = append(s.policies, p)
	}
	if previous != nil {
		s.inherit(previous)
	}
	return s, nil
}

// inherit takes over the ticket keys of policies that are what they were. Each
// has keys of its own: a ticket of one must not resume on another.
func (s *ServerSnapshot) inherit(previous *ServerSnapshot) {
	used := map[*ticketKeys]bool{}
	for _, p := range s.policies {
		for _, old := range previous.policies {
			if !used[old.tickets] && p.resumes(old) {
				p.tickets, used[old.tickets] = old.tickets, true
				break
			}
		}
	}
}

// policyFor returns the policy of a server name, which is empty when the client
// named none.
func (s *ServerSnapshot) policyFor(serverName string) *policy {
	name := canonicalName(serverName)
	last := len(s.policies) - 1
	for _, p := range s.policies[:last] {
		if slices.ContainsFunc(p.hosts, func(host hostname.Pattern) bool { return host.Matches(name) }) {
			return p
		}
	}
	return s.policies[last]
}

// SamePolicy reports whether two server names belong to one policy. A request
// for the one on a connection for the other must not pass where they do not
// (RFC 9110 section 7.4: 421).
func (s *ServerSnapshot) SamePolicy(a, b string) bool { return s.policyFor(a) == s.policyFor(b) }

// Forwards reports whether upstreams are told about clients that asked for
// serverName.
func (s *ServerSnapshot) Forwards(serverName string) bool { return s.policyFor(serverName).forward }

// Verify reports why the peer of a connection may not be here, as of now. It
// runs at the end of every handshake, resumed ones included, and again over
// open connections when trust, revocation lists or names change.
func (s *ServerSnapshot) Verify(cs cryptotls.ConnectionState) error {
	return s.policyFor(cs.ServerName).verify(cs)
}

// Leaf is the certificate that a client which asks for serverName is shown,
// among those of files; nil where it is by ACME.
func (s *ServerSnapshot) Leaf(serverName string) *x509.Certificate {
	p := s.policyFor(serverName)
	cert, err := p.choose(&cryptotls.ClientHelloInfo{ServerName: serverName})
	if err != nil {
		return nil
	}
	return cert.Leaf
}

// canonicalName is a DNS name as it is compared.
func canonicalName(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
