package tls

import (
	cryptotls "crypto/tls"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// ALPNChallenge is the protocol of an ACME server that verifies a name (RFC
// 8737 section 6.2). A connection with it carries nothing.
const ALPNChallenge = "acme-tls/1"

// alpnHTTP3 is what only QUIC offers (RFC 9114 section 3.1).
const alpnHTTP3 = "h3"

// Server is the downstream side of TLS on a listener: one atomic pointer to the
// snapshot that decides the next handshake.
type Server struct {
	snapshot atomic.Pointer[ServerSnapshot]
}

// NewServer returns a Server that begins with the given snapshot.
func NewServer(snapshot *ServerSnapshot) *Server {
	s := new(Server)
	s.snapshot.Store(snapshot)
	return s
}

// Swap makes the snapshot decide every handshake that begins from now on.
func (s *Server) Swap(snapshot *ServerSnapshot) { s.snapshot.Store(snapshot) }

// Snapshot is the one that decides now.
func (s *Server) Snapshot() *ServerSnapshot { return s.snapshot.Load() }

// Config is for cryptotls.Server, and offers nextProtos by ALPN, best first. It
// follows Swap; a handshake takes its snapshot once, when the ClientHello has
// come.
func (s *Server) Config(nextProtos []string) *cryptotls.Config {
	// An authority comes over TCP (RFC 8737 section 3), and its connection ends
	// after the handshake; over QUIC nothing would end it.
	overTCP := !slices.Contains(nextProtos, alpnHTTP3)
	return &cryptotls.Config{
		MinVersion: cryptotls.VersionTLS12,
		NextProtos: nextProtos,
		GetConfigForClient: func(hello *cryptotls.ClientHelloInfo) (*cryptotls.Config, error) {
			snapshot := s.snapshot.Load()
			if overTCP && IsChallenge(hello) {
				return challengeConfig(snapshot.managed)
			}
			return snapshot.config(snapshot.policyFor(hello.ServerName), nextProtos), nil
		},
	}
}

// built is a config that was made of a policy: it is costly, and lasts until
// the ticket keys rotate.
type built struct {
	epoch  uint64
	config *cryptotls.Config
}

// offer is a policy with the protocols that are offered under it. TCP and QUIC
// offer others.
type offer struct {
	policy *policy
	protos string
}

// config is what handshakes under a policy of the snapshot need now. It is kept
// with the snapshot, so that private keys are gone when that is.
func (s *ServerSnapshot) config(p *policy, nextProtos []string) *cryptotls.Config {
	epoch, keys := p.ticketKeys(time.Now())
	key := offer{p, strings.Join(nextProtos, ",")}
	if b, ok := s.configs.Load(key); ok && b.(*built).epoch == epoch {
		return b.(*built).config
	}
	b := &built{epoch, p.config(nextProtos, keys)}
	s.configs.Store(key, b)
	return b.config
}

// IsChallenge recognises an ACME server: no other client offers this protocol, and
// it offers no other.
func IsChallenge(hello *cryptotls.ClientHelloInfo) bool {
	return len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == ALPNChallenge
}

// challengeConfig answers an ACME server, which has no client certificate. The
// connection ends after the handshake.
func challengeConfig(managed ACME) (*cryptotls.Config, error) {
	if managed == nil {
		return nil, errors.New("an ACME server verifies a name (acme-tls/1), and this gateway has asked for no certificate")
	}
	return &cryptotls.Config{
		MinVersion:             cryptotls.VersionTLS12,
		NextProtos:             []string{ALPNChallenge},
		GetCertificate:         managed.Challenge,
		SessionTicketsDisabled: true,
	}, nil
}
