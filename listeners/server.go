package listeners

import (
	"bytes"
	cryptotls "crypto/tls"
	"log" //nolint:depguard // only to give http.Server.ErrorLog what it wants
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/tls"
)

// Server serves the connections of one listener's definition. It starts nothing
// before its first connection, so one that was never given to a Socket needs no
// Close.
type Server struct {
	config    Config
	tls       *tls.Server       // nil on plain text
	tlsConfig *cryptotls.Config // follows tls
	trace     *Trace
	memory    *memory.Budget // nil: there is no limit
	errorLog  *log.Logger
	handler   http.Handler
	http1     http1
	quic      quicServer
	restIdle  time.Duration // how long nothing may come of the rest of a refused body

	handshakes atomic.Int64
	connections
}

// Stats are the present numbers of a Server.
type Stats struct {
	// Connections include those in their handshake.
	Connections int
	// Streams are what Conn.Stream counts.
	Streams int
	// Handshakes are TLS handshakes in progress.
	Handshakes int
}

// NewServer returns a server for cfg, which is not to be modified; plain text
// if snapshot is nil. The trace may be nil.
func NewServer(cfg *Config, snapshot *tls.ServerSnapshot, handler http.Handler, trace *Trace) *Server {
	s := &Server{config: *cfg, trace: trace, handler: handler, restIdle: lingerIdle, connections: newConnections()}
	s.errorLog = log.New(logWriter{s}, "", 0)
	s.http1 = http1{server: s, conns: make(chan net.Conn)}
	s.quic = quicServer{server: s, linger: drainLinger}
	if snapshot != nil {
		s.tls = tls.NewServer(snapshot)
		protos := []string{protoHTTP2, protoHTTP1} // best first
		s.tlsConfig = s.tls.Config(slices.DeleteFunc(protos, func(p string) bool { return !s.config.serves(p) }))
		s.quic.tls = s.tls.Config([]string{protoHTTP3})
	}
	return s
}

// ChargeTo has what clients make the server keep charged to the budget. It is
// called before the first connection, if at all.
func (s *Server) ChargeTo(b *memory.Budget) { s.memory = b }

// logWriter turns what the protocol servers log into a trace.
type logWriter struct{ server *Server }

func (w logWriter) Write(p []byte) (int, error) {
	w.server.trace.error(w.server.config.Name, string(bytes.TrimSpace(p)))
	return len(p), nil
}

// SwapTLS makes the snapshot decide the handshakes that begin from now on, and
// be the one that those in progress must pass in the end. Not for plain text.
func (s *Server) SwapTLS(snapshot *tls.ServerSnapshot) { s.tls.Swap(snapshot) }

// Unverified returns the open connections whose peers the snapshot would not
// let in. After SwapTLS of the same snapshot none is missed.
func (s *Server) Unverified(snapshot *tls.ServerSnapshot) []*Conn {
	var conns []*Conn
	for _, c := range s.open() {
		if cs := c.TLS(); cs != nil && snapshot.Verify(*cs) != nil {
			conns = append(conns, c)
		}
	}
	return conns
}

// Listener is the name of the listener whose definition this was.
func (s *Server) Listener() string { return s.config.Name }

// Stats returns the present numbers.
func (s *Server) Stats() Stats {
	stats := Stats{Handshakes: int(s.handshakes.Load())}
	for _, c := range s.open() {
		stats.Connections++
		stats.Streams += int(c.streams.Load())
	}
	return stats
}

// hand takes over an accepted connection; places are those of its socket. It
// does not block.
func (s *Server) hand(raw net.Conn, places *places) {
	c, refusal := s.admit(raw, raw.RemoteAddr(), raw.LocalAddr(), places, true)
	if refusal != "" {
		s.trace.rejected(s.config.Name, refusal, raw.RemoteAddr(), nil)
		raw.Close()
		return
	}
	s.http1.start()
	s.running.Go(func() { s.serve(c) })
}

// admit makes the Conn of a client for which there is room, and counts it. raw is nil
// for a handshake of QUIC that begins. Where the client is not known yet, its place
// is taken later.
func (s *Server) admit(raw net.Conn, remote, local net.Addr, places *places, known bool) (c *Conn, refusal string) {
	if refusal := places.enter(raw, s.config.Limits.MaxConnections); refusal != "" {
		return nil, refusal
	}
	if raw == nil && s.memory.Level() >= memory.Severe || s.memory.Charge(memory.Connection, connectionCost) != nil {
		places.leave(raw, netip.Prefix{})
		return nil, "memory"
	}
	c = newConn(s, raw, remote, local, places)
	if known && !s.config.ProxyProtocol.balances(c.remote.Addr()) && !c.takeClientPlace() {
		s.vacate(c)
		return nil, perAddress
	}
	if !s.add(c) {
		s.vacate(c)
		return nil, "closed"
	}
	return c, ""
}

// remove forgets a connection that nothing serves any more.
func (s *Server) remove(c *Conn) {
	if c.over() {
		s.vacate(c)
		s.forget(c)
	}
}

// vacate gives back what the connection takes of its socket and of memory.
func (s *Server) vacate(c *Conn) {
	c.places.leave(c.raw, c.client)
	s.memory.Return(memory.Connection, connectionCost)
	c.heads.close()
}
