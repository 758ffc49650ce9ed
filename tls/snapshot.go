package tls

import (
	cryptotls "crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ServerSnapshot is everything that decides about a downstream handshake. It is
// immutable but for its ticket keys, which rotate by time.
type ServerSnapshot struct {
	certificates []*cryptotls.Certificate            // in file order; the first is the default
	byName       map[string][]*cryptotls.Certificate // by lower-case DNS name or *.parent
	minVersion   uint16
	mode         ClientAuthMode
	trust        *Trust // nil in mode none
	names        []string
	tickets      *ticketKeys
}

// NewServerSnapshot parses what cfg names. Sessions begun under previous, which
// may be nil, resume only if nothing that a full handshake would show or ask
// for has changed: neither the client-auth policy nor a certificate.
func NewServerSnapshot(cfg *ServerConfig, previous *ServerSnapshot) (*ServerSnapshot, error) {
	s := &ServerSnapshot{
		byName:     make(map[string][]*cryptotls.Certificate),
		minVersion: minVersion(cfg.MinVersion),
		mode:       cfg.ClientAuth.Mode,
		names:      slices.Clone(cfg.ClientAuth.AllowedNames),
		tickets:    new(ticketKeys),
	}
	if len(cfg.Certificates) == 0 {
		return nil, errors.New("tls: no certificate")
	}
	for i, pair := range cfg.Certificates {
		id, err := ParseIdentity(pair.Cert.Data, pair.Key.Data)
		if err != nil {
			return nil, fmt.Errorf("tls: certificates[%d]: %w", i, err)
		}
		s.add(id)
	}
	if s.mode == "" {
		s.mode = ClientAuthNone
	}
	if s.mode != ClientAuthNone {
		trust, err := ParseTrust(cfg.ClientAuth.CACert.Data)
		if err != nil {
			return nil, fmt.Errorf("tls: client_auth.ca_cert: %w", err)
		}
		s.trust = trust
	}
	if previous != nil && s.resumes(previous) {
		s.tickets = previous.tickets
	}
	return s, nil
}

func minVersion(version string) uint16 {
	if version == "1.3" {
		return cryptotls.VersionTLS13
	}
	return cryptotls.VersionTLS12
}

// add indexes an identity by the names that a ClientHello may ask for.
func (s *ServerSnapshot) add(id *Identity) {
	cert := &id.Certificate
	s.certificates = append(s.certificates, cert)
	names := id.Leaf.DNSNames
	if !hasSAN(id.Leaf) {
		names = []string{id.Leaf.Subject.CommonName}
	}
	for _, name := range names {
		if name = strings.ToLower(strings.TrimSuffix(name, ".")); name != "" {
			s.byName[name] = append(s.byName[name], cert)
		}
	}
}

// resumes reports whether a session that began under previous may go on here.
// An identity counts too: a resumed session would go on showing the old
// certificate, and a rotation after a leak should end what the old key began.
func (s *ServerSnapshot) resumes(previous *ServerSnapshot) bool {
	return s.mode == previous.mode &&
		slices.Equal(s.names, previous.names) &&
		s.trust.equal(previous.trust) &&
		slices.EqualFunc(s.certificates, previous.certificates, func(a, b *cryptotls.Certificate) bool {
			return a.Leaf.Equal(b.Leaf)
		})
}

// choose picks the certificate for a ClientHello: by exact name, then by a
// wildcard of one label, then the first of the file. Among several for one
// name, say RSA and ECDSA, it is the first that the client can use.
func (s *ServerSnapshot) choose(hello *cryptotls.ClientHelloInfo) (*cryptotls.Certificate, error) {
	name := strings.ToLower(hello.ServerName)
	candidates := s.byName[name]
	if len(candidates) == 0 {
		if _, parent, ok := strings.Cut(name, "."); ok {
			candidates = s.byName["*."+parent]
		}
	}
	if len(candidates) == 0 {
		return s.certificates[0], nil
	}
	for _, cert := range candidates[:len(candidates)-1] {
		if hello.SupportsCertificate(cert) == nil {
			return cert, nil
		}
	}
	return candidates[len(candidates)-1], nil
}

// config is the snapshot as crypto/tls wants it.
func (s *ServerSnapshot) config(nextProtos []string, keys [][32]byte) *cryptotls.Config {
	cfg := &cryptotls.Config{
		MinVersion:     s.minVersion,
		NextProtos:     nextProtos,
		GetCertificate: s.choose,
		VerifyConnection: func(cs cryptotls.ConnectionState) error {
			return s.Verify(cs)
		},
	}
	switch s.mode {
	case ClientAuthRequest:
		cfg.ClientAuth = cryptotls.VerifyClientCertIfGiven
	case ClientAuthRequire:
		cfg.ClientAuth = cryptotls.RequireAndVerifyClientCert
	}
	if s.trust != nil {
		cfg.ClientCAs = s.trust.pool
	}
	cfg.SetSessionTicketKeys(keys)
	return cfg
}

// Verify reports why the peer of a connection may not be here, as of now. It
// runs at the end of every handshake, resumed ones included, and again over
// open connections when trust or names change.
func (s *ServerSnapshot) Verify(cs cryptotls.ConnectionState) error {
	if s.mode == ClientAuthNone {
		return nil
	}
	if len(cs.PeerCertificates) == 0 {
		if s.mode == ClientAuthRequire {
			return errors.New("the client sent no certificate, and client_auth.mode is require")
		}
		return nil
	}
	leaf := cs.PeerCertificates[0]
	if _, err := verifyChain(cs.PeerCertificates, s.trust.pool, x509.ExtKeyUsageClientAuth); err != nil {
		return fmt.Errorf("client certificate of %s: %w", PeerName(leaf), err)
	}
	if len(s.names) == 0 || slices.ContainsFunc(s.names, func(name string) bool { return MatchName(name, leaf) }) {
		return nil
	}
	if !hasSAN(leaf) {
		return fmt.Errorf("client certificate of %s has no subject alternative name, which allowed_names would match", PeerName(leaf))
	}
	return fmt.Errorf("client certificate of %s is not in allowed_names", PeerName(leaf))
}

// NotAfter is when the first of the snapshot's certificates expires.
func (s *ServerSnapshot) NotAfter() time.Time {
	earliest := s.certificates[0].Leaf.NotAfter
	for _, cert := range s.certificates[1:] {
		if cert.Leaf.NotAfter.Before(earliest) {
			earliest = cert.Leaf.NotAfter
		}
	}
	return earliest
}

// verifyChain builds the chains from the first certificate to the roots, nil
// meaning the system's, as of now. Certificates without extended key usage are
// good for any (RFC 5280 section 4.2.1.12).
func verifyChain(certs []*x509.Certificate, roots *x509.CertPool, usage x509.ExtKeyUsage) ([][]*x509.Certificate, error) {
	intermediates := x509.NewCertPool()
	for _, cert := range certs[1:] {
		intermediates.AddCert(cert)
	}
	chains, err := certs[0].Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: intermediates,
		KeyUsages:     []x509.ExtKeyUsage{usage},
	})
	if err != nil {
		return nil, &cryptotls.CertificateVerificationError{UnverifiedCertificates: certs, Err: err}
	}
	return chains, nil
}
