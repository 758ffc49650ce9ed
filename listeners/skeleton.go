package listeners

import (
	"context"
	cryptotls "crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/mcpgateway/mcpgateway/tls"
)

func (c *Config) DefinitionFingerprint() [32]byte { return [32]byte{} }

// Trace: any field, and the Trace itself, may be nil.
type Trace struct {
	Opened, Closed func(listener string)
	Rejected       func(listener, reason string, remote net.Addr)
	Handshake      func(listener string, remote net.Addr, err error, d time.Duration)
	AcceptError    func(address string, err error)
	Error          func(listener, message string)
}

type Sockets struct{}

func NewSockets(trace *Trace) *Sockets                  { return nil }
func (s *Sockets) Bind(address string) (*Socket, error) { return nil, nil }
func (s *Sockets) Close()                               {}

type Socket struct{}

func (s *Socket) Serve(*Server)  {}
func (s *Socket) Close()         {}
func (s *Socket) Addr() net.Addr { return nil }

type Server struct{}
type DrainOptions struct {
	Spread, Timeout time.Duration
	CloseIdle       bool
}
type Stats struct{ Connections, Streams, Handshakes int }

func NewServer(cfg *Config, snapshot *tls.ServerSnapshot, handler http.Handler, trace *Trace) *Server {
	return nil
}
func (s *Server) SetHandler(http.Handler)                    {}
func (s *Server) SwapTLS(*tls.ServerSnapshot)                {}
func (s *Server) Unverified(*tls.ServerSnapshot) []*Conn     { return nil }
func (s *Server) Retire(conns []*Conn, spread time.Duration) {}
func (s *Server) Drain(DrainOptions)                         {}
func (s *Server) Done() <-chan struct{}                      { return nil }
func (s *Server) Close()                                     {}
func (s *Server) Stats() Stats                               { return Stats{} }

type Conn struct{}

func FromContext(ctx context.Context) *Conn     { return nil }
func (c *Conn) Listener() string                { return "" }
func (c *Conn) RemoteAddr() netip.AddrPort      { return netip.AddrPort{} }
func (c *Conn) LocalAddr() netip.AddrPort       { return netip.AddrPort{} }
func (c *Conn) TLS() *cryptotls.ConnectionState { return nil }
func (c *Conn) TrustedProxies() []netip.Prefix  { return nil }
func (c *Conn) SetHandler(http.Handler)         {}
func (c *Conn) Retired() bool                   { return false }
func (c *Conn) Ending() <-chan struct{}         { return nil }
func (c *Conn) Stream() (done func())           { return func() {} }
