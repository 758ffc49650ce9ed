package upstream

import (
	"context"
	"net/http"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
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

// Init is what a session begins with.
type Init struct {
	// Params is the JSON of the initialize request's params: protocolVersion,
	// capabilities and clientInfo. The cluster's mcp.protocol, when it forces
	// a revision, takes the place of protocolVersion.
	Params []byte
}

// Options are the ears of a session. The zero Options are valid.
type Options struct {
	// OnMessage gets, in order, the notifications and the requests of the
	// server that belong to no call. It is called from the session's reader
	// and must not block.
	OnMessage func(*jsonrpc.Message)
	// OnClose is called once, from a goroutine of its own, when the session
	// has ended: with nil after Close, else with why it was lost.
	OnClose func(error)
	// OnIgnored is told of what the server sent and nobody gets: bytes that
	// are no message, answers to no call. It must not block.
	OnIgnored func(error)
	// MaxMessage is the longest message that is read, in bytes. 0: 4 MiB.
	MaxMessage int64
	// Header is sent on every HTTP request of the session.
	Header http.Header
	// Transports remembers what endpoints were found to speak. It may be nil.
	Transports *Transports
}

// Session is an initialised MCP session with one endpoint.
type Session struct{}

// Open begins a session with an endpoint of c: it chooses the transport by
// the cluster's configuration, initialises, and declares itself initialised.
// It is bounded by ctx, which the session outlives.
func Open(ctx context.Context, c *clusters.Cluster, e *clusters.Endpoint, init Init, opts Options) (*Session, error) {
	panic("being written")
}

// Result returns the server's response to initialize.
func (s *Session) Result() *jsonrpc.Message { panic("being written") }

// Version returns the negotiated protocol revision.
func (s *Session) Version() string { panic("being written") }

// Kind returns the transport.
func (s *Session) Kind() Kind { panic("being written") }

// Endpoint returns the endpoint that calls go to.
func (s *Session) Endpoint() *clusters.Endpoint { panic("being written") }

// NextID returns a request id that this session has not used.
func (s *Session) NextID() jsonrpc.ID { panic("being written") }

// Call sends the request req, a whole message whose id is id, and waits for
// its response, which may be an error response: err is about the exchange
// alone. The response has the id of the request.
//
// on gets, in order, the notifications and requests of the server that come on
// this call's stream before the response. HTTP+SSE and stdio have one stream:
// what comes while exactly one call is in flight belongs to that call. on is
// called from the goroutine of Call; while it blocks, the stream does. nil
// stands for OnMessage.
//
// The end of ctx ends the waiting. It is no cancellation: to cancel, Send
// notifications/cancelled. An answer stream that breaks off is resumed where
// the server made that possible.
func (s *Session) Call(ctx context.Context, req []byte, id jsonrpc.ID, on func(*jsonrpc.Message)) (*jsonrpc.Message, error) {
	panic("being written")
}

// Send sends a notification or a response, and waits until the server took it.
func (s *Session) Send(ctx context.Context, msg []byte) error { panic("being written") }

// StartListening opens the stream for what belongs to no call (the GET of
// Streamable HTTP; the other transports have nothing to do) and keeps it open
// in the background. A server without one is no error. Calling it again does
// nothing.
func (s *Session) StartListening() {}

// Rebind makes e, the same endpoint with another connection pool, carry what
// is sent from now on. What is under way stays on the old one until it ends.
// It returns false, and does nothing, when the session is bound to its
// connection (HTTP+SSE, stdio) or e is another endpoint.
func (s *Session) Rebind(e *clusters.Endpoint) bool { panic("being written") }

// Busy returns the number of calls in flight.
func (s *Session) Busy() int { panic("being written") }

// Done is closed when the session was lost or closed.
func (s *Session) Done() <-chan struct{} { panic("being written") }

// Err returns why the session ended: nil while it lives and after Close.
func (s *Session) Err() error { panic("being written") }

// Close ends the session, at the server too where the transport has a way to
// say so. It waits for the session's goroutines, and is bounded by ctx.
func (s *Session) Close(ctx context.Context) { panic("being written") }

// WithHeader returns a ctx whose Open, Call and Send carry these headers,
// beside the session's own, which win.
func WithHeader(ctx context.Context, h http.Header) context.Context { panic("being written") }
