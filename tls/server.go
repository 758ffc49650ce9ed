package tls

import (
	cryptotls "crypto/tls"
	"errors"
	"slices"
	"sync"
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
	built := configs{nextProtos: nextProtos}
	// An authority comes over TCP (RFC 8737 section 3), and its connection ends
	// after the handshake; over QUIC nothing would end it.
	overTCP := !slices.Contains(nextProtos, alpnHTTP3)
	return &cryptotls.Config{
		MinVersion: cryptotls.VersionTLS12,
		NextProtos: nextProtos,
		GetConfigForClient: func(hello *cryptotls.ClientHelloInfo) (*cryptotls.Config, error) {
			snapshot := s.snapshot.Load()
			if overTCP && isChallenge(hello) {
				return challengeConfig(snapshot.managed)
			}
			return built.of(snapshot.policyFor(hello.ServerName)), nil
		},
	}
}

// configs keeps what was built: a config is costly, and lasts until its policy
// is replaced or the ticket keys rotate.
type configs struct {
	nextProtos []string
	byPolicy   sync.Map // *policy to *built, for those that are in use
	policies   atomic.Int64
}

type built struct {
	epoch  uint64
	config *cryptotls.Config
}

// maxConfigs bounds what is kept of policies that are gone.
const maxConfigs = 64

func (c *configs) of(p *policy) *cryptotls.Config {
	epoch, keys := p.ticketKeys(time.Now())
	if b, ok := c.byPolicy.Load(p); ok && b.(*built).epoch == epoch {
		return b.(*built).config
	}
	if c.policies.Add(1) > maxConfigs {
		c.policies.Store(1)
		c.byPolicy.Clear()
	}
	b := &built{epoch, p.config(c.nextProtos, keys)}
	c.byPolicy.Store(p, b)
	return b.config
}

// isChallenge recognises an ACME server: nobody else offers this protocol, and
// it offers no other.
func isChallenge(hello *cryptotls.ClientHelloInfo) bool {
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
