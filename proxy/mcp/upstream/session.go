package upstream

import (
	"context"
	"sync"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/clusters/process"
	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// Session is an initialised MCP session with one endpoint.
type Session struct {
	life      *lifetime
	limits    *limits
	in        *inbox
	ids       *ids // those of sessions that share a process are the same
	place     *place
	transport transport
	http      *httpClient      // nil: the transport is no HTTP
	process   *process.Process // its own; nil: it has none

	// What follows is set by agree.

	server *Server // nil: it has not begun
	era    era
	kept   memory.Lease // of what the server has said of itself

	closing sync.Once
	// listening begins to listen, once. The channel is closed when the first attempt is
	// through.
	listening func() <-chan struct{}
}

// newSession returns a session that has neither transport nor place yet.
func newSession(opts Options, budget *memory.Budget) *Session {
	s := &Session{life: newLifetime(), limits: newLimits(opts.MaxMessage, opts.MaxResult, budget), ids: new(ids)}
	s.in = &inbox{reporter: &reporter{onIgnored: opts.OnIgnored}, life: s.life, limits: s.limits, onMessage: opts.OnMessage}
	s.listening = sync.OnceValue(func() <-chan struct{} {
		heard := make(chan struct{})
		s.era.listen(sync.OnceFunc(func() { close(heard) }))
		return heard
	})
	return s
}

// use makes t carry the messages of the session.
func (s *Session) use(t transport) { s.transport, s.in.send = t, t.send }

// agree makes the session one with this server, which is spoken to as e does.
func (s *Session) agree(server *Server, e era) error {
	s.kept = s.limits.lease()
	if s.kept.Grow(len(server.Result.Raw())) != nil {
		return s.limits.tooLong(true)
	}
	s.server, s.era = server, e
	if s.http != nil {
		s.http.server.Store(server)
	}
	return nil
}

// Server returns what the server has said of itself.
func (s *Session) Server() *Server { return s.server }

// Stateless reports whether the server has said that it keeps nothing between
// two requests of this session: it speaks a revision without sessions, or gave
// the session no id by which it could know it again.
func (s *Session) Stateless() bool {
	t, ok := s.transport.(*streamable)
	return s.server.Modern() || ok && t.sessionID() == ""
}

// Endpoint returns the endpoint that calls go to.
func (s *Session) Endpoint() *clusters.Endpoint { return s.place.binding().Endpoint }

// NextID returns a request id that this session has not used.
func (s *Session) NextID() jsonrpc.ID { return s.ids.next() }

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
func (s *Session) Call(ctx context.Context, req []byte, id jsonrpc.ID, on func(*jsonrpc.Message)) (m *jsonrpc.Message, err error) {
	if err := s.life.alive(ctx); err != nil {
		return nil, err
	}
	s.life.busy.Add(1)
	defer s.life.busy.Add(-1)
	m, err = s.era.call(ctx, request{body: req, id: id, on: on})
	return m, because(ctx, err)
}

// Send sends a notification or a response, and waits until the server took it.
func (s *Session) Send(ctx context.Context, msg []byte) error {
	return s.life.during(ctx, func() error { return s.era.send(ctx, msg) })
}

// Ping asks the server for a sign of life.
func (s *Session) Ping(ctx context.Context) error {
	return s.life.during(ctx, func() error { return s.era.ping(ctx) })
}

// Subscribe begins or ends to hear of changes of a resource; they come to
// OnMessage. It returns when the server knows, or with an error when it does
// not take the subscription.
func (s *Session) Subscribe(ctx context.Context, uri string, on bool) error {
	return s.life.during(ctx, func() error { return s.era.subscribe(ctx, uri, on) })
}

// WatchTask begins to hear of a task of a server without sessions (the
// extension io.modelcontextprotocol/tasks). It returns as Subscribe does; a
// server with sessions tells without being asked.
func (s *Session) WatchTask(ctx context.Context, id string) error {
	return s.life.during(ctx, func() error { return s.era.watchTask(ctx, id) })
}

// StartListening opens the stream for what belongs to no call (the GET of
// Streamable HTTP, subscriptions/listen of servers without sessions; the other
// transports have nothing to do) and keeps it open in the background. A server
// without one is no error. Calling it again does nothing.
func (s *Session) StartListening() { s.listening() }

// Heard waits until the stream that StartListening opens is there, or it is
// known that there is none: some servers lose what they say before.
func (s *Session) Heard(ctx context.Context) {
	select {
	case <-s.listening():
	case <-s.Done():
	case <-ctx.Done():
	}
}

// Rebind makes e, the same endpoint with another connection pool, carry what
// is sent from now on. What is under way stays on the old one until it ends.
// It returns false, and does nothing, when the session is bound to its
// connection (HTTP+SSE, stdio), has ended, or e is another endpoint. e must be
// one that a set refers to.
func (s *Session) Rebind(e *clusters.Endpoint) bool { return !s.life.over() && s.place.move(e) }

// Process is the session's own child process; nil where it shares one, and
// unless the transport is Stdio.
func (s *Session) Process() *process.Process { return s.process }

// shares reports whether the session has its process in common with others.
func (s *Session) shares() bool {
	_, ok := s.transport.(*member)
	return ok
}

// Busy returns the number of calls in flight, and of messages that are being sent.
func (s *Session) Busy() int { return int(s.life.busy.Load()) }

// Done is closed when the session was lost or closed.
func (s *Session) Done() <-chan struct{} { return s.life.ctx.Done() }

// Err returns why the session was lost: nil while it lives, and after Close.
func (s *Session) Err() error { return s.life.cause() }

// Close ends the session, at the server too where the transport has a way to
// say so, which is bounded by ctx. Calls in flight end with ErrClosed. It
// waits for the session's goroutines, so it must not be called from one of the
// callbacks. A lost session is to be closed as well.
func (s *Session) Close(ctx context.Context) {
	s.closing.Do(func() {
		s.life.end(nil)
		s.life.endCalls(ErrClosed)
		s.transport.close(ctx)
		s.life.work.Wait()
		s.place.leave()
		s.kept.Release()
	})
}
