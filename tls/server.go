package tls

import (
	cryptotls "crypto/tls"
	"sync/atomic"
	"time"
)

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
	// A config is costly to build, and lasts until the snapshot is swapped or
	// its ticket keys rotate.
	type built struct {
		snapshot *ServerSnapshot
		epoch    uint64
		config   *cryptotls.Config
	}
	var last atomic.Pointer[built]
	return &cryptotls.Config{
		MinVersion: cryptotls.VersionTLS12,
		NextProtos: nextProtos,
		GetConfigForClient: func(*cryptotls.ClientHelloInfo) (*cryptotls.Config, error) {
			snapshot := s.snapshot.Load()
			epoch, keys := snapshot.tickets.at(time.Now())
			b := last.Load()
			if b == nil || b.snapshot != snapshot || b.epoch != epoch {
				b = &built{snapshot, epoch, snapshot.config(nextProtos, keys)}
				last.Store(b)
			}
			return b.config, nil
		},
	}
}
