package tls

import (
	cryptotls "crypto/tls"
	"crypto/x509"
	"time"
)

type Identity struct {
	Certificate cryptotls.Certificate
	Leaf        *x509.Certificate
}

func ParseIdentity(certPEM, keyPEM []byte) (*Identity, error) { return nil, nil }
func (i *Identity) NotAfter() time.Time                       { return i.Leaf.NotAfter }

type Trust struct{}

func ParseTrust(caPEM []byte) (*Trust, error) { return nil, nil }

type ServerSnapshot struct{}

func NewServerSnapshot(cfg *ServerConfig, previous *ServerSnapshot) (*ServerSnapshot, error) {
	return nil, nil
}
func (s *ServerSnapshot) Verify(cs cryptotls.ConnectionState) error { return nil }

type Server struct{}

func NewServer(*ServerSnapshot) *Server                        { return nil }
func (s *Server) Swap(*ServerSnapshot)                         {}
func (s *Server) Snapshot() *ServerSnapshot                    { return nil }
func (s *Server) Config(nextProtos []string) *cryptotls.Config { return nil }

type Client struct{}

func NewClient(cfg *ClientConfig) (*Client, error)                          { return nil, nil }
func (c *Client) Config(host string, nextProtos []string) *cryptotls.Config { return nil }
func (c *Client) NotAfter() time.Time                                       { return time.Time{} }

func PeerName(cert *x509.Certificate) string                { return "" }
func CheckName(pattern string) error                        { return nil }
func MatchName(pattern string, cert *x509.Certificate) bool { return false }
