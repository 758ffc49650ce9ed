package listeners

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/descriptors"
	"github.com/quic-go/quic-go"
)

// keepAlive finds peers that vanished, a stream's among them, in two minutes.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 15 * time.Second, Count: 4}

// Sockets are the sockets that the process holds, over all generations.
type Sockets struct {
	trace   *Trace
	reserve *descriptors.Reserve

	mu       sync.Mutex
	held     map[address]*Socket
	quic     map[address]*quicSocket
	quicKeys *quicKeys // nil: random

	randomReset quic.StatelessResetKey
	advised     sync.Once      // about the receive buffer
	running     sync.WaitGroup // of QUIC
}

// KeepFree has clients leave the reserve alone. It is called before Bind, if at all.
func (s *Sockets) KeepFree(r *descriptors.Reserve) { s.reserve = r }

// NewSockets returns an empty set. The trace may be nil.
func NewSockets(trace *Trace) *Sockets {
	s := &Sockets{trace: trace, held: make(map[address]*Socket), quic: make(map[address]*quicSocket)}
	rand.Read(s.randomReset[:]) // never fails: it ends the process instead
	return s
}

// Bind binds an address, host:port or unix:/path, or returns the socket that is
// held there already; port 0 is a new port each time. A new socket accepts
// nothing before Serve; Close gives it up again. An address that overlaps one
// still held, on the same port and one of them a wildcard, is an error.
func (s *Sockets) Bind(configured string) (*Socket, error) {
	a, err := resolve(configured)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", configured, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for socket := s.held[a]; socket != nil; socket = s.held[a] {
		if !isClosed(socket.closing) {
			return socket, nil
		}
		s.mu.Unlock()
		socket.Close() // waits for the one under way
		s.mu.Lock()
	}
	for other := range s.held {
		if a.overlaps(other) {
			return nil, fmt.Errorf("listen on %s: it overlaps %s, which is still held; move one of them to another port, or change in two steps", a, other)
		}
	}
	ln, err := s.listen(a)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", configured, err)
	}
	if a.anyPort() {
		// Held as what it became: the next to ask for any port gets another.
		a.port = addrPort(ln.Addr())
	}
	socket := newSocket(s, a, ln)
	s.held[a] = socket
	return socket, nil
}

// Close closes every socket. A UDP one goes on for the connections it has.
func (s *Sockets) Close() {
	s.mu.Lock()
	sockets := slices.Collect(maps.Values(s.held))
	s.mu.Unlock()
	var wg sync.WaitGroup
	for _, socket := range sockets {
		wg.Go(socket.Close)
	}
	wg.Wait()
}

// listener is what TCP and unix sockets have in common.
type listener interface {
	net.Listener
	SetDeadline(time.Time) error
}

func (s *Sockets) listen(a address) (listener, error) {
	if a.network == "unix" {
		// For the owner and the group.
		return ListenUnix(a.path, 0o660, func(err error) { s.trace.advice(a.String() + ": " + err.Error()) })
	}
	config := net.ListenConfig{KeepAliveConfig: keepAlive}
	ln, err := config.Listen(context.Background(), a.network, a.port.String())
	if err != nil {
		return nil, err
	}
	return ln.(*net.TCPListener), nil
}
