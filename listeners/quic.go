package listeners

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	cryptotls "crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"golang.org/x/time/rate"
)

const (
	// Handshakes of clients whose address is not validated yet that are begun
	// without a Retry. What is above makes each of them prove its address
	// first, which costs it a round trip (RFC 9000 section 8.1.2).
	unvalidatedPerSecond = 100
	unvalidatedBurst     = 200
	// wary is how long after that every client proves it. A client asks again
	// before it has read the Retry, and its second packet must not begin a
	// handshake that no server will end.
	wary = 2 * time.Second

	// receiveBuffer is what QUIC wants of the kernel, in bytes: a burst that
	// does not fit is lost, and has to be sent again.
	receiveBuffer = 7 << 20

	// connectionIDLength, in bytes, makes it unlikely that two connections get
	// the same ID, and hopeless to guess one: an attacker who can, can have it reset.
	connectionIDLength = 12

	// codeNoError ends an HTTP/3 connection in order (RFC 9114 section 8.1).
	codeNoError quic.ApplicationErrorCode = 0x100
)

// quicSocket is the UDP side of an address: one quic.Transport, over all
// generations. A connection belongs to the Server that served the address when
// its first packet came. With no server, it refuses new connections, and
// closes once those that are open have ended.
type quicSocket struct {
	sockets   *Sockets
	address   address
	conn      *net.UDPConn
	transport *quic.Transport
	listener  *quic.Listener
	limiter   *rate.Limiter
	waryUntil atomic.Int64 // Unix nanoseconds
	// unproven counts handshakes of clients whose address is not proven yet.
	unproven atomic.Int64

	mu     sync.Mutex
	server *Server
	places *places // of the Socket that server is on
	users  int     // connections, handshakes included
	idle   bool    // no server takes connections
	closed bool
	gone   chan struct{} // closed once the port is free again
}

// quicKeys are secrets of the QUIC sockets.
type quicKeys struct {
	reset quic.StatelessResetKey
	token quic.TokenGeneratorKey
}

// UseSecret derives the keys of QUIC sockets that are bound later, so that a
// process that takes over from this one can tell clients that their connections
// are gone (RFC 9000 section 10.3), and believe their tokens. Without a secret,
// which is nil then, the keys are random. undo puts back what was used before.
func (s *Sockets) UseSecret(secret []byte) (undo func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.quicKeys
	if s.quicKeys = nil; secret != nil {
		s.quicKeys = newQUICKeys(secret)
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.quicKeys = before
	}
}

func newQUICKeys(secret []byte) *quicKeys {
	derive := func(info string) (key [32]byte) {
		b, err := hkdf.Key(sha256.New, secret, nil, "mcpgateway quic "+info, len(key))
		if err != nil {
			panic(err) // only for lengths beyond what the hash allows
		}
		return [32]byte(b)
	}
	return &quicKeys{derive("stateless reset"), derive("token")}
}

// BindQUIC binds the UDP port of the same number, for the servers that speak
// HTTP/3 from now on. undo gives up what this call has bound, and nothing else.
func (s *Socket) BindQUIC() (undo func(), err error) {
	s.sockets.mu.Lock()
	defer s.sockets.mu.Unlock()
	for q := s.sockets.quic[s.address]; q != nil; q = s.sockets.quic[s.address] {
		if q.claim() {
			return q.abandon, nil
		}
		s.sockets.mu.Unlock()
		<-q.gone
		s.sockets.mu.Lock()
	}
	for other := range s.sockets.quic {
		if s.address.overlaps(other) {
			return nil, fmt.Errorf("listen on UDP %s, for h3: it overlaps %s, whose HTTP/3 connections are still draining; move to another port, or try again when they have ended", s.address, other)
		}
	}
	q, err := s.sockets.listenQUIC(s.address)
	if err != nil {
		return nil, fmt.Errorf("listen on UDP %s, for h3: %w", s.address, err)
	}
	s.sockets.quic[s.address] = q
	return q.abandon, nil
}

// claim keeps a socket from closing; false if it is too late for that.
func (q *quicSocket) claim() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.idle = false
	return true
}

// abandon takes back a claim that nothing came of.
func (q *quicSocket) abandon() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.server == nil {
		q.idle = true
		q.closeIfUnused()
	}
}

// listenQUIC is called with s.mu held.
func (s *Sockets) listenQUIC(a address) (*quicSocket, error) {
	network := "udp"
	if a.network == "tcp4" {
		network = "udp4"
	}
	conn, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(a.port))
	if err != nil {
		return nil, err
	}
	q := &quicSocket{sockets: s, address: a, conn: conn, limiter: rate.NewLimiter(unvalidatedPerSecond, unvalidatedBurst), gone: make(chan struct{})}
	q.transport = &quic.Transport{
		Conn:                conn,
		ConnContext:         q.admit,
		ConnectionIDLength:  connectionIDLength,
		VerifySourceAddress: func(net.Addr) bool { return q.validates(time.Now()) },
	}
	if k := s.quicKeys; k != nil {
		q.transport.StatelessResetKey, q.transport.TokenGeneratorKey = &k.reset, &k.token
	} else {
		q.transport.StatelessResetKey = &s.randomReset
	}
	q.listener, err = q.transport.Listen(&cryptotls.Config{
		MinVersion: cryptotls.VersionTLS13,
		NextProtos: []string{protoHTTP3},
		GetConfigForClient: func(hello *cryptotls.ClientHelloInfo) (*cryptotls.Config, error) {
			return FromContext(hello.Context()).server.quic.tls.GetConfigForClient(hello)
		},
	}, &quic.Config{GetConfigForClient: q.configure})
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	s.adviseBuffer(conn) // after quic-go, which may have been allowed more
	s.running.Go(q.accept)
	return q, nil
}

// adviseBuffer says once what the operator can do about a small buffer.
func (s *Sockets) adviseBuffer(conn *net.UDPConn) {
	got, err := readBuffer(conn)
	if err != nil || got >= receiveBuffer {
		return
	}
	s.advised.Do(func() {
		s.trace.advice(fmt.Sprintf("the kernel allows UDP receive buffers of %d KiB, and HTTP/3 loses packets under load with less than %d: sysctl -w net.core.rmem_max=%d", got>>10, receiveBuffer>>10, receiveBuffer))
	})
}

// serve makes the server the one of new connections; nil for none.
func (q *quicSocket) serve(server *Server, places *places) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.server, q.places = server, places
	q.idle = server == nil
	q.closeIfUnused()
}

// leave is serve without a server.
func (q *quicSocket) leave() { q.serve(nil, nil) }

// closeIfUnused closes the socket if no server and no connection needs it any more. Called with q.mu held.
func (q *quicSocket) closeIfUnused() {
	if !q.idle || q.users > 0 || q.closed {
		return
	}
	q.closed = true
	q.sockets.running.Go(func() {
		_ = q.listener.Close()
		_ = q.transport.Close()
		_ = q.conn.Close()
		q.sockets.mu.Lock()
		defer q.sockets.mu.Unlock()
		if q.sockets.quic[q.address] == q {
			delete(q.sockets.quic, q.address)
		}
		close(q.gone)
	})
}

var errNotServed = errors.New("no listener speaks HTTP/3 here")

// validates reports whether a client that comes now must prove its address.
func (q *quicSocket) validates(now time.Time) bool {
	if !q.limiter.AllowN(now, 1) || q.unproven.Load() >= q.mostUnproven() {
		q.waryUntil.Store(now.Add(wary).UnixNano())
	}
	return now.UnixNano() < q.waryUntil.Load()
}

// mostUnproven is a tenth of the listener's places: packets with forged addresses
// must not keep its clients out, nor those over TCP.
func (q *quicSocket) mostUnproven() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.server == nil {
		return 0
	}
	return max(1, int64(q.server.config.Limits.MaxConnections/10))
}

// configure gives a connection the limits of its listener.
func (q *quicSocket) configure(*quic.ClientInfo) (*quic.Config, error) {
	q.mu.Lock()
	server := q.server
	q.mu.Unlock()
	if server == nil {
		return nil, errNotServed
	}
	limits := &server.config.Limits
	window := uint64(limits.quicWindow(server.memory))
	return &quic.Config{
		HandshakeIdleTimeout: limits.HeaderTimeout,
		MaxIdleTimeout:       limits.IdleTimeout,
		// A stream may be silent for longer, while its client is there.
		KeepAlivePeriod:       limits.IdleTimeout / 3,
		MaxIncomingStreams:    int64(limits.MaxConcurrentStreams),
		MaxIncomingUniStreams: 8, // HTTP/3 has three (RFC 9114 section 6.2)
		// From the beginning: quic-go enlarges a connection's window only as its
		// data is read, and unread data is what the window is for.
		InitialStreamReceiveWindow:     streamWindow,
		MaxStreamReceiveWindow:         streamWindow,
		InitialConnectionReceiveWindow: window,
		MaxConnectionReceiveWindow:     window,
	}, nil
}

// admit is called with the first packet of a connection. The context carries
// the Conn to the handshake, and to every request.
func (q *quicSocket) admit(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.server == nil {
		return nil, errNotServed
	}
	c, refusal := q.server.quic.take(info.RemoteAddr, q.conn.LocalAddr(), q.places, info.AddrVerified)
	if refusal != "" {
		q.server.trace.rejected(q.server.config.Name, refusal, info.RemoteAddr, nil)
		return nil, errors.New(refusal)
	}
	q.users++
	c.quic.proven = func() bool { return true }
	judged := func() {}
	if !info.AddrVerified {
		q.unproven.Add(1)
		judged = sync.OnceFunc(func() { q.unproven.Add(-1) })
		c.quic.proven = func() bool { judged(); return c.takeClientPlace() }
	}
	context.AfterFunc(ctx, func() {
		judged()
		c.server.quic.fail(c, handshakeGone(context.Cause(ctx)))
		q.mu.Lock()
		defer q.mu.Unlock()
		q.users--
		q.closeIfUnused()
	})
	return context.WithValue(ctx, contextKey{}, c), nil
}

// accept hands connections to their servers after the handshake.
func (q *quicSocket) accept() {
	for {
		qc, err := q.listener.Accept(context.Background())
		if err != nil {
			return // closed
		}
		FromContext(qc.Context()).server.quic.serve(qc)
	}
}

// handshakeGone is a reason that a client's packets stopped, or that it hung up.
func handshakeGone(cause error) error {
	if cause == nil || errors.Is(cause, context.Canceled) {
		return errors.New("the client went away during the handshake")
	}
	return cause
}
