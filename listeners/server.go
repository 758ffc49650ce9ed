package listeners

import (
	"bytes"
	cryptotls "crypto/tls"
	"log" //nolint:depguard // only to give http.Server.ErrorLog what it wants
	"net"
	"net/http"
	"sync"
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
	quicTLS   *cryptotls.Config // the same for HTTP/3
	trace     *Trace
	memory    *memory.Budget // nil: there is no limit
	errorLog  *log.Logger
	handler   http.Handler
	http1     *http1
	grace     time.Duration // how long streams that were told to end may take
	linger    time.Duration // how long the last answer over HTTP/3 has to arrive
	restIdle  time.Duration // how long nothing may come of the rest of a refused body

	handlers   atomic.Int64
	handshakes atomic.Int64

	mu       sync.Mutex
	conns    map[*Conn]struct{}
	draining bool
	shutting chan struct{} // closed once connections without a request are not to stay
	closed   bool
	drained  bool           // draining, and nothing is left
	empty    chan struct{}  // closed when drained
	running  sync.WaitGroup // our goroutines; grows only before drained
	done     chan struct{}
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
	s := &Server{
		config:   *cfg,
		trace:    trace,
		handler:  handler,
		grace:    endGrace,
		linger:   drainLinger,
		restIdle: lingerIdle,
		conns:    make(map[*Conn]struct{}),
		shutting: make(chan struct{}),
		empty:    make(chan struct{}),
		done:     make(chan struct{}),
	}
	s.errorLog = log.New(logWriter{s}, "", 0)
	s.http1 = newHTTP1(s)
	if snapshot != nil {
		s.tls = tls.NewServer(snapshot)
		s.tlsConfig = s.tls.Config(s.nextProtos())
		s.quicTLS = s.tls.Config([]string{protoHTTP3})
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

// nextProtos is what ALPN offers, best first.
func (s *Server) nextProtos() []string {
	var protos []string
	for _, proto := range []string{protoHTTP2, protoHTTP1} {
		if s.config.serves(proto) {
			protos = append(protos, proto)
		}
	}
	return protos
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

// Done is closed when the server drains or was closed, and no connection,
// handshake, handler or goroutine of it is left.
func (s *Server) Done() <-chan struct{} { return s.done }

// open lists the connections.
func (s *Server) open() []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	conns := make([]*Conn, 0, len(s.conns))
	for c := range s.conns {
		conns = append(conns, c)
	}
	return conns
}

// hand takes over an accepted connection; places are those of its socket. It
// does not block.
func (s *Server) hand(raw net.Conn, places *places) {
	reason := s.take(raw, places)
	if reason == "" {
		return
	}
	s.trace.rejected(s.config.Name, reason, raw.RemoteAddr())
	raw.Close()
}

func (s *Server) take(raw net.Conn, places *places) (refusal string) {
	if places.open.Add(1) > int64(s.config.Limits.MaxConnections) {
		places.open.Add(-1)
		return "max_connections"
	}
	if !places.reserve.Enter(raw) {
		places.open.Add(-1)
		return "descriptors"
	}
	if s.memory.Charge(memory.Connection, connectionCost) != nil {
		places.open.Add(-1)
		places.reserve.Leave()
		return "memory"
	}
	c := newConn(s, raw.RemoteAddr(), raw.LocalAddr(), places)
	c.raw, c.cut = raw, func() { raw.Close() }
	if !s.balances(c.remote.Addr()) && !c.takeClientPlace() {
		s.vacate(c)
		return perAddress
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.drained {
		s.vacate(c)
		return "closed"
	}
	if s.draining {
		c.retire(time.Now())
	}
	s.conns[c] = struct{}{}
	s.trace.opened(s.config.Name)
	s.http1.start()
	s.running.Go(func() { s.serve(c) })
	return ""
}

// remove forgets a connection that nothing serves any more.
func (s *Server) remove(c *Conn) {
	c.mu.Lock()
	first := !c.removed
	c.removed = true // from now on it takes no place any more
	for _, timer := range []*time.Timer{c.expiry, c.goTimer, c.idle} {
		if timer != nil {
			timer.Stop()
		}
	}
	c.mu.Unlock()
	if !first {
		return
	}
	close(c.gone)
	s.vacate(c)
	s.trace.closed(s.config.Name)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.finishDrain()
}

// vacate gives back what the connection takes of its socket and of memory.
func (s *Server) vacate(c *Conn) {
	c.places.open.Add(-1)
	if c.raw != nil {
		c.places.reserve.Leave() // QUIC has one descriptor for all
	}
	if c.client.IsValid() {
		c.places.leave(c.client)
	}
	s.memory.Return(memory.Connection, connectionCost)
	c.heads.close()
}

// finishDrain closes Done once nothing is left. Called with s.mu held.
func (s *Server) finishDrain() {
	if !s.draining || s.drained || len(s.conns) > 0 || s.handlers.Load() > 0 {
		return
	}
	s.drained = true
	close(s.empty)
	s.http1.stop()
	go func() {
		s.running.Wait()
		close(s.done)
	}()
}
