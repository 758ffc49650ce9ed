package tls

import (
	"cmp"
	cryptotls "crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/hostname"
	"github.com/mcpgateway/mcpgateway/tls/spiffe"
)

// policy is what decides about the handshakes for some server names. It is
// immutable but for its ticket keys, which rotate by time.
type policy struct {
	hosts        []hostname.Pattern  // empty: every other name, and none
	certificates []source            // in file order; the first is the default
	byName       map[string][]source // by lower-case DNS name or *.parent
	managed      ACME                // nil where nothing is by ACME
	minVersion   uint16
	mode         ClientAuthMode
	trust        *Trust // nil in mode none
	crls         *crls  // nil: no client is revoked
	crlExpired   CRLExpired
	names        []string
	workload     spiffe.ID // ours, where the trust is by a Workload API; else zero
	forward      bool
	tickets      *ticketKeys
}

// source is one certificate: of a file, or what ACME has for a name now.
type source struct {
	identity *Identity // nil for ACME
	name     string    // of ACME
}

// ACME answers handshakes with certificates that are obtained by ACME.
// Implementations are safe for concurrent use and ask no network.
type ACME interface {
	// Certificate is the present one for a name; the error says why there is
	// none yet.
	Certificate(name string) (*cryptotls.Certificate, error)
	// Challenge answers TLS-ALPN-01 (RFC 8737).
	Challenge(hello *cryptotls.ClientHelloInfo) (*cryptotls.Certificate, error)
	// Changes counts what changed about certificates.
	Changes() uint64
}

// newPolicy builds what cfg, which is resolved, says.
func newPolicy(cfg *Policy, acme ACME) (*policy, error) {
	auth := cfg.ClientAuth
	p := &policy{
		byName:     make(map[string][]source),
		minVersion: minVersion(cfg.MinVersion),
		mode:       cmp.Or(auth.Mode, ClientAuthNone),
		crlExpired: auth.CRLExpired,
		names:      slices.Clone(auth.AllowedNames),
		forward:    auth.Forward,
		tickets:    new(ticketKeys),
	}
	for i, host := range cfg.Hosts {
		pattern, err := hostname.ParsePattern(host)
		if err != nil {
			return nil, fmt.Errorf("hosts[%d]: %q %w", i, host, err)
		}
		p.hosts = append(p.hosts, pattern)
	}
	for i, pair := range cfg.Certificates {
		if err := p.addPair(&pair, acme); err != nil {
			return nil, fmt.Errorf("certificates[%d]: %w", i, err)
		}
	}
	if p.mode == ClientAuthNone {
		return p, nil
	}
	var err error
	if p.trust, err = TrustOf(auth.CACert); err != nil {
		return nil, fmt.Errorf("client_auth.ca_cert: %w", err)
	}
	if m := spiffe.Of(auth.CACert); m != nil {
		p.workload = m.ID
	}
	if !auth.CRL.IsZero() {
		if p.crls, err = crlsOf(auth.CRL); err != nil {
			return nil, fmt.Errorf("client_auth.crl: %w", err)
		}
	}
	return p, nil
}

func (p *policy) addPair(pair *KeyPair, acme ACME) error {
	if len(pair.ACME) > 0 {
		p.managed = acme
		for _, name := range pair.ACME {
			p.add(source{name: name}, []string{name})
		}
		return nil
	}
	id, err := identityOf(pair.Cert, pair.Key, pair.Passphrase)
	if err != nil {
		return err
	}
	names := slices.Clone(id.Leaf.DNSNames)
	for _, ip := range id.Leaf.IPAddresses {
		names = append(names, ip.String())
	}
	if !hasSAN(id.Leaf) {
		names = []string{id.Leaf.Subject.CommonName}
	}
	p.add(source{identity: id}, names)
	return nil
}

// add indexes a certificate by the names that a ClientHello may ask for, and by
// addresses.
func (p *policy) add(s source, names []string) {
	p.certificates = append(p.certificates, s)
	for _, name := range names {
		if ip, err := netip.ParseAddr(name); err == nil {
			name = ip.Unmap().String()
		}
		if name = canonicalName(name); name != "" {
			p.byName[name] = append(p.byName[name], s)
		}
	}
}

func minVersion(version string) uint16 {
	if version == "1.3" {
		return cryptotls.VersionTLS13
	}
	return cryptotls.VersionTLS12
}

// resumes reports whether a session that began under previous may go on here.
// An identity counts too: a resumed session would go on showing the old
// certificate, and a rotation after a leak should end what the old key began.
func (p *policy) resumes(previous *policy) bool {
	return p.mode == previous.mode &&
		slices.Equal(p.hosts, previous.hosts) &&
		slices.Equal(p.names, previous.names) && p.workload == previous.workload &&
		p.trust.equal(previous.trust) &&
		p.crls.equal(previous.crls) && p.crlExpired == previous.crlExpired &&
		slices.EqualFunc(p.certificates, previous.certificates, func(a, b source) bool {
			if a.identity == nil || b.identity == nil {
				return a == b
			}
			return a.identity.Leaf.Equal(b.identity.Leaf)
		})
}

// choose picks the certificate for a ClientHello: by exact name, then by a
// wildcard of one label, then the first of the file. Among several for one
// name, say RSA and ECDSA, it is the first that the client can use. What ACME has
// not obtained yet is passed over.
func (p *policy) choose(hello *cryptotls.ClientHelloInfo) (*cryptotls.Certificate, error) {
	var first *cryptotls.Certificate
	var missing error
	for _, s := range p.candidates(hello) {
		cert, err := p.get(s)
		if err != nil {
			if missing == nil {
				missing = err
			}
			continue
		}
		if hello.SupportsCertificate(cert) == nil {
			return cert, nil
		}
		first = cmp.Or(first, cert)
	}
	if first == nil {
		return nil, missing
	}
	return first, nil
}

func (p *policy) candidates(hello *cryptotls.ClientHelloInfo) []source {
	name := canonicalName(hello.ServerName)
	if name == "" {
		name = addressed(hello.Conn)
	}
	if list := p.byName[name]; len(list) > 0 {
		return list
	}
	if _, parent, ok := strings.Cut(name, "."); ok {
		if list := p.byName["*."+parent]; len(list) > 0 {
			return list
		}
	}
	return p.certificates
}

// addressed is the IP address that a client has connected to; empty where there
// is none. A client that knows us by an address sends no name (RFC 6066 section 3).
func addressed(conn net.Conn) string {
	if conn == nil {
		return ""
	}
	at, err := netip.ParseAddrPort(conn.LocalAddr().String())
	if err != nil {
		return ""
	}
	return at.Addr().Unmap().WithZone("").String()
}

func (p *policy) get(s source) (*cryptotls.Certificate, error) {
	if s.identity != nil {
		return &s.identity.Certificate, nil
	}
	return p.managed.Certificate(s.name)
}

// config is the policy as crypto/tls wants it.
func (p *policy) config(nextProtos []string, keys [][32]byte) *cryptotls.Config {
	cfg := &cryptotls.Config{
		MinVersion:       p.minVersion,
		NextProtos:       nextProtos,
		GetCertificate:   p.choose,
		VerifyConnection: p.verify,
	}
	switch p.mode {
	case ClientAuthRequest:
		cfg.ClientAuth = cryptotls.VerifyClientCertIfGiven
	case ClientAuthRequire:
		cfg.ClientAuth = cryptotls.RequireAndVerifyClientCert
	}
	if p.trust != nil {
		cfg.ClientCAs = p.trust.pool
	}
	cfg.SetSessionTicketKeys(keys)
	return cfg
}

// ticketKeys are the keys that hold now. What ACME has renewed is a new
// identity, and nothing that began with the old one resumes.
func (p *policy) ticketKeys(now time.Time) (epoch uint64, keys [][32]byte) {
	var changes uint64
	if p.managed != nil {
		changes = p.managed.Changes()
	}
	return p.tickets.at(now, changes)
}

// verify reports why the peer of a connection may not be here, as of now.
func (p *policy) verify(cs cryptotls.ConnectionState) error {
	if p.mode == ClientAuthNone {
		return nil
	}
	if len(cs.PeerCertificates) == 0 {
		if p.mode == ClientAuthRequire {
			return errors.New("the client sent no certificate, and client_auth.mode is require")
		}
		return nil
	}
	leaf := cs.PeerCertificates[0]
	chains, err := verifyChain(cs.PeerCertificates, p.trust.pool, x509.ExtKeyUsageClientAuth)
	if err == nil && p.crls != nil {
		err = p.checkRevocation(chains)
	}
	if err == nil && !p.workload.IsZero() {
		err = spiffe.Member(leaf, p.workload)
	}
	if err != nil {
		return fmt.Errorf("client certificate of %s: %w", PeerName(leaf), err)
	}
	if len(p.names) == 0 || slices.ContainsFunc(p.names, func(name string) bool { return MatchName(name, leaf) }) {
		return nil
	}
	if !hasSAN(leaf) {
		return fmt.Errorf("client certificate of %s has no subject alternative name, which allowed_names would match", PeerName(leaf))
	}
	return fmt.Errorf("client certificate of %s is not in allowed_names", PeerName(leaf))
}

// checkRevocation passes if one of the chains does: with cross-signed CAs only
// one of them may have a list.
func (p *policy) checkRevocation(chains [][]*x509.Certificate) (err error) {
	now := time.Now()
	for _, chain := range p.trust.completed(chains) {
		if err = p.crls.check(chain, p.crlExpired, now); err == nil {
			return nil
		}
	}
	return err
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
