package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/clusters/process"
	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// Kind is the transport of a session.
type Kind uint8

// The transports of MCP that an upstream may speak.
const (
	StreamableHTTP Kind = 1 + iota
	// SSE is the transport of 2024-11-05.
	SSE
	Stdio
)

func (k Kind) String() string {
	switch k {
	case StreamableHTTP:
		return "streamable_http"
	case SSE:
		return "sse"
	case Stdio:
		return "stdio"
	}
	return "unknown"
}

// What is read at most, unless Options say otherwise.
const (
	defaultMaxMessage = 4 << 20
	defaultMaxResult  = 16 << 20
)

// Options are the ears of a session. The zero Options are valid.
type Options struct {
	// OnMessage gets, in order, the notifications and the requests of the
	// server that belong to no call. It is called from the session's reader,
	// possibly before Open returns, and must not block.
	OnMessage func(*jsonrpc.Message)
	// OnClose is called once, from a goroutine of its own, when a session that
	// Open returned has ended: with nil after Close, else with why it was lost.
	OnClose func(error)
	// OnIgnored is told of what the server sent and no client gets: bytes that
	// are no message, answers to no call. It must not block.
	// Of what comes too often not all is to be reported, which report says.
	OnIgnored func(err error, report bool)
	// MaxMessage is the longest request or notification that is read, in bytes.
	// 0: 4 MiB.
	MaxMessage int64
	// MaxResult is the longest response that is read, in bytes. 0: 16 MiB. A
	// longer one is passed over, and its call ends with a *TooLongError.
	MaxResult int64
	// Modern: the client speaks a revision without sessions. Then a server that
	// does too gets what the client says of itself with each request, and the
	// client gets to know what the server requires of it.
	Modern bool
	// Header is sent on every HTTP request of the session.
	Header http.Header
	// Backoff delays the start of the session's process after earlier ones of
	// the same owner have ended by themselves. Without one their ends delay all
	// processes of the cluster.
	Backoff *process.Backoff
	// Principal is whose session it is; "" for an anonymous client.
	Principal string
	// Check: a health check has the session, and no client does.
	Check bool
	// IfFree: no process is stopped for the session, and it waits for none to
	// end, where as many run as may.
	IfFree bool
	// Memory is what the server's answers are charged to while they are read; nil
	// has no limit.
	Memory *memory.Budget
	// Anew: a command gets another process, which takes the place of the one that
	// sessions share.
	Anew bool
	// Alone: a command gets a process of its own for the session, whatever the
	// server's revision: what the client wants to hear names no call.
	Alone bool
	// Transports remembers what endpoints were found to speak, and has the
	// processes that sessions share. It may be nil.
	Transports *Transports

	// spare: the session is left to a client, uninitialised, where the server has
	// sessions.
	spare *spare
}

// transport carries the messages of a session.
type transport interface {
	// call sends a request and waits for its response. Everything else that
	// comes on its stream goes through Session.route, in the same goroutine.
	call(ctx context.Context, req []byte, id jsonrpc.ID, on func(*jsonrpc.Message)) (*jsonrpc.Message, error)
	send(ctx context.Context, msg []byte) error
	// listen opens the stream for what belongs to no call.
	listen()
	endpoint() *clusters.Endpoint
	rebind(e *clusters.Endpoint) bool
	// close tells the server, unless the session is lost, and releases what
	// the transport holds. It is called once.
	close(ctx context.Context)
}

// Session is an initialised MCP session with one endpoint.
type Session struct {
	opts      Options
	cluster   *clusters.Cluster // nil in front of none
	transport transport
	kind      Kind
	version   atomic.Pointer[string]
	result    *jsonrpc.Message
	kept      memory.Lease // of result
	stateless *stateless   // nil: the server has sessions
	forced    string       // the revision that the configuration forces, "" for none
	// initializing: the answer under way begins a session.
	initializing bool
	ids          *atomic.Int64 // the last one; sessions that share a process have it in common
	// shared: sessions that share the process speak over this one, which has none
	// to say itself.
	shared atomic.Pointer[sharedProcess]
	// mostMessage and mostResult are the longest that are read, in bytes.
	mostMessage, mostResult atomic.Int64
	busy                    atomic.Int64
	pongs                   atomic.Int64

	// life ends with the session, however it ends; calls ends at Close alone:
	// the answers under way of a session that is lost may still come.
	life, calls       context.Context
	endLife, endCalls context.CancelCauseFunc

	listening, closing sync.Once
	hearing            sync.Once
	heard              chan struct{} // the first attempt to listen is through
	closed             chan struct{} // the first Close is through

	mu    sync.Mutex
	ended bool // no new goroutines
	err   error
	// ignored is how much was ignored since ignoredSince, when a window began.
	ignored      int
	ignoredSince time.Time
	work         sync.WaitGroup
}

// limited returns the options with defaults for what is read at most.
func (o Options) limited() Options {
	if o.MaxMessage <= 0 {
		o.MaxMessage = defaultMaxMessage
	}
	if o.MaxResult <= 0 {
		o.MaxResult = defaultMaxResult
	}
	return o
}

// newSession returns a session that has no transport yet.
func newSession(opts Options, kind Kind) *Session {
	opts = opts.limited()
	s := &Session{opts: opts, kind: kind, ids: new(atomic.Int64), closed: make(chan struct{}), heard: make(chan struct{})}
	s.reads(opts)
	s.life, s.endLife = context.WithCancelCause(context.Background())
	s.calls, s.endCalls = context.WithCancelCause(context.Background())
	return s
}

// Result returns the server's response to initialize, or one that says the
// same as a server without sessions has said.
func (s *Session) Result() *jsonrpc.Message { return s.result }

// keep keeps what the server said of itself.
func (s *Session) keep(m *jsonrpc.Message) error {
	s.kept = s.opts.Memory.Lease(memory.Answer)
	if s.kept.Grow(len(m.Raw())) != nil {
		return s.tooLong(true)
	}
	s.result = m
	return nil
}

// Version returns the negotiated protocol revision.
func (s *Session) Version() string {
	if v := s.version.Load(); v != nil {
		return *v
	}
	return ""
}

// Kind returns the transport.
func (s *Session) Kind() Kind { return s.kind }

// Endpoint returns the endpoint that calls go to.
func (s *Session) Endpoint() *clusters.Endpoint { return s.transport.endpoint() }

// NextID returns a request id that this session has not used.
func (s *Session) NextID() jsonrpc.ID { return jsonrpc.IntID(s.ids.Add(1)) }

// Call sends the request req, a whole message whose id is id, and waits for
// its response, which may be an error response: err is about the exchange
// alone. The response has the id of the request. id must not be in use by
// another call.
//
// on gets, in order, the notifications and requests of the server that come on
// this call's stream before the response. HTTP+SSE and stdio have one stream:
// what comes while exactly one call is in flight belongs to that call. on is
// called by the reader of the stream, and must not block: over HTTP+SSE and stdio
// the answers of all other calls come behind it. nil stands for OnMessage. The
// server's ping is answered here, and no client sees it.
//
// The end of ctx ends the waiting. It is no cancellation: to cancel, Send
// notifications/cancelled. An answer stream that breaks off is resumed where
// the server made that possible.
func (s *Session) Call(ctx context.Context, req []byte, id jsonrpc.ID, on func(*jsonrpc.Message)) (*jsonrpc.Message, error) {
	if err := s.alive(ctx); err != nil {
		return nil, err
	}
	s.busy.Add(1)
	defer s.busy.Add(-1)
	call := s.transport.call
	if s.Modern() {
		call = s.callModern
	}
	m, err := call(ctx, req, id, on)
	return m, because(ctx, err)
}

// Send sends a notification or a response, and waits until the server took it.
func (s *Session) Send(ctx context.Context, msg []byte) error {
	if err := s.alive(ctx); err != nil {
		return err
	}
	send := s.transport.send
	if s.Modern() {
		send = s.sendModern
	}
	return because(ctx, send(ctx, msg))
}

// StartListening opens the stream for what belongs to no call (the GET of
// Streamable HTTP, subscriptions/listen of servers without sessions; the other transports have nothing to do) and keeps it open
// in the background. A server without one is no error. Calling it again does
// nothing.
func (s *Session) StartListening() {
	s.listening.Do(func() {
		if s.Modern() {
			s.spawn(s.listenModern)
			return
		}
		if s.kind != StreamableHTTP {
			s.hears() // there is one stream for everything
		}
		s.transport.listen()
	})
}

func (s *Session) hears() { s.hearing.Do(func() { close(s.heard) }) }

// Heard waits until the stream that StartListening opens is there, or it is
// known that there is none: some servers lose what they say before.
func (s *Session) Heard(ctx context.Context) {
	select {
	case <-s.heard:
	case <-s.life.Done():
	case <-ctx.Done():
	}
}

// Rebind makes e, the same endpoint with another connection pool, carry what
// is sent from now on. What is under way stays on the old one until it ends.
// It returns false, and does nothing, when the session is bound to its
// connection (HTTP+SSE, stdio), has ended, or e is another endpoint. e must be
// one that a set refers to.
func (s *Session) Rebind(e *clusters.Endpoint) bool {
	return s.transport.rebind(e)
}

// Process is the session's own child process; nil where it shares one, and
// unless the transport is Stdio.
func (s *Session) Process() *process.Process {
	if t, ok := s.transport.(*stdio); ok {
		return t.process
	}
	return nil
}

// Shares reports whether the session has its process in common with others.
func (s *Session) Shares() bool {
	_, ok := s.transport.(*sharedTransport)
	return ok
}

// Busy returns the number of calls in flight.
func (s *Session) Busy() int { return int(s.busy.Load()) }

// Done is closed when the session was lost or closed.
func (s *Session) Done() <-chan struct{} { return s.life.Done() }

// Err returns why the session was lost: nil while it lives, and after Close.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Close ends the session, at the server too where the transport has a way to
// say so, which is bounded by ctx. Calls in flight end with ErrClosed. It
// waits for the session's goroutines, so it must not be called from one of the
// callbacks. A lost session is to be closed as well.
func (s *Session) Close(ctx context.Context) {
	s.closing.Do(func() {
		s.end(nil)
		s.endCalls(ErrClosed)
		s.transport.close(ctx)
		s.work.Wait()
		s.kept.Release()
		close(s.closed)
	})
	<-s.closed
}

// end ends the session's life; err says why it was lost, nil that it is closed.
func (s *Session) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.ended, s.err = true, err
	if err == nil {
		err = ErrClosed
	}
	s.endLife(err)
}

// noticeLoss ends the session when err says that the server does not know it
// any more.
func (s *Session) noticeLoss(err error) {
	if errors.Is(err, ErrSessionLost) {
		s.end(err)
	}
}

// alive returns why nothing can be sent, if so.
func (s *Session) alive(ctx context.Context) error {
	if ctx.Err() != nil {
		return &unsentError{context.Cause(ctx)}
	}
	if s.life.Err() != nil {
		return &unsentError{context.Cause(s.life)}
	}
	return nil
}

// spawn runs f in a goroutine that Close waits for. It reports false, and does
// not run f, when the session has ended.
func (s *Session) spawn(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.work.Go(f)
	}
	return !s.ended
}

// route hands a notification or request of the server to whom it belongs: on,
// or OnMessage when on is nil.
func (s *Session) route(m *jsonrpc.Message, on func(*jsonrpc.Message)) {
	switch {
	case m.Kind() == jsonrpc.Response:
		s.ignore(fmt.Errorf("response to no call, id %s", m.ID()))
	case m.Kind() == jsonrpc.Request && m.Method() == spec.Ping:
		s.pong(m.ID())
	case on != nil:
		on(m)
	case s.shared.Load() != nil:
		s.shared.Load().unaddressed(m)
	case s.opts.OnMessage != nil:
		s.opts.OnMessage(m)
	}
}

// maxPongs bounds the answers of this hop's own that are on their way.
const maxPongs = 4

// pong answers a ping, which concerns this hop alone.
func (s *Session) pong(id jsonrpc.ID) { s.reply("a ping", jsonrpc.NewResult(id, nil)) }

// refuse answers a request of the server that cannot be read.
func (s *Session) refuse(id jsonrpc.ID, why error) {
	s.reply("an unreadable request", jsonrpc.NewError(id, jsonrpc.CodeInvalidRequest, why.Error(), nil))
}

// reply answers a request of the server that concerns this hop alone.
func (s *Session) reply(what string, answer []byte) {
	if s.pongs.Add(1) > maxPongs {
		s.pongs.Add(-1)
		s.ignore(fmt.Errorf("%s while %d are being answered", what, maxPongs))
		return
	}
	answering := s.spawn(func() {
		defer s.pongs.Add(-1)
		if err := s.transport.send(s.life, answer); err != nil {
			s.ignore(fmt.Errorf("answer %s: %w", what, err))
		}
	})
	if !answering {
		s.pongs.Add(-1)
	}
}
