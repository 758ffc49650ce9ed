package listeners

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// A socket that closes is accepted empty: it closes once nothing came for
	// backlogQuiet, and after backlogMax in any case.
	backlogQuiet = 20 * time.Millisecond
	backlogMax   = time.Second

	// acceptBackoffMax bounds the pause after a failure to accept, such as one
	// for want of descriptors.
	acceptBackoffMax = time.Second
)

// Socket is one bound address with its acceptor. It outlives the servers on it.
type Socket struct {
	sockets *Sockets
	address address
	ln      listener
	places  places

	closing chan struct{}
	closed  chan struct{} // the acceptor has ended
	once    sync.Once

	// mu is held while a connection is handed over: once Serve has returned,
	// the server before gets no more.
	mu     sync.Mutex
	server *Server
}

func newSocket(sockets *Sockets, a address, ln listener) *Socket {
	return &Socket{
		sockets: sockets,
		address: a,
		ln:      ln,
		places:  places{reserve: sockets.reserve},
		closing: make(chan struct{}),
		closed:  make(chan struct{}),
	}
}

// Addr is the bound address.
func (s *Socket) Addr() net.Addr { return s.ln.Addr() }

// Serve hands every connection accepted from now on to the server; once it has
// returned, the server before gets none. The first call starts the acceptor.
func (s *Socket) Serve(server *Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := s.server == nil
	s.server = server
	if q := s.quic(); q != nil {
		if server.config.serves(protoHTTP3) {
			q.serve(server, &s.places)
		} else {
			q.leave()
		}
	}
	if first {
		go s.accept()
	}
}

// Close gives the address up: the backlog is accepted and handed over, then the
// socket closes, and a unix socket's file goes. It returns when that is done,
// and the address can be bound again; connections are not touched.
func (s *Socket) Close() {
	s.once.Do(func() {
		close(s.closing)
		s.mu.Lock()
		serving := s.server != nil
		s.mu.Unlock()
		if serving {
			_ = s.ln.SetDeadline(time.Now().Add(backlogQuiet))
			<-s.closed
		}
		_ = s.ln.Close()
		if q := s.quic(); q != nil {
			q.leave()
		}
		s.sockets.mu.Lock()
		delete(s.sockets.held, s.address)
		s.sockets.mu.Unlock()
	})
}

// quic is the UDP side of the socket; nil where there is none.
func (s *Socket) quic() *quicSocket {
	s.sockets.mu.Lock()
	defer s.sockets.mu.Unlock()
	return s.sockets.quic[s.address]
}

// accept runs until Close, and ends when the backlog is empty.
func (s *Socket) accept() {
	defer close(s.closed)
	var backoff time.Duration
	for {
		conn, err := s.ln.Accept()
		switch {
		case err == nil:
			s.handOver(conn)
			backoff = 0
		case errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed):
			return
		default:
			s.sockets.trace.acceptError(s.address.String(), err)
			backoff = min(max(2*backoff, 5*time.Millisecond), acceptBackoffMax)
			select {
			case <-time.After(backoff):
			case <-s.closing:
			}
		}
		if isClosed(s.closing) {
			s.emptyBacklog()
			return
		}
	}
}

// emptyBacklog accepts what the kernel has already accepted for us; closing the
// socket would reset it.
func (s *Socket) emptyBacklog() {
	for end := time.Now().Add(backlogMax); time.Now().Before(end); {
		_ = s.ln.SetDeadline(time.Now().Add(backlogQuiet))
		conn, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.handOver(conn)
	}
}

func (s *Socket) handOver(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server.hand(conn, &s.places)
}
