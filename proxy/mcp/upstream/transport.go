package upstream

import (
	"cmp"
	"context"
	"net/http"
	"slices"

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
	kinds // the size of a table of them
)

// traits are what the rest of the package must know of a transport.
type traits struct {
	// name is what the configuration (clusters.MCPConfig) and status call it.
	name string
	// connect gives a session the transport.
	connect func(o *opening, ctx context.Context, s *Session) error
	// oneStream: what the server says comes on one stream for all calls, and no call
	// has headers. Else each call has its own stream, whose end cancels it, and
	// headers that repeat its parameters.
	oneStream bool
	// onlySessions: only revisions with sessions have the transport.
	onlySessions bool
	// process: the server is a process that the gateway starts. Only a command has
	// the transport, and the configuration does not name it.
	process bool
}

var transports = [kinds]traits{
	StreamableHTTP: {name: "streamable_http", connect: (*opening).connectStreamable},
	SSE:            {name: "sse", connect: (*opening).connectSSE, oneStream: true, onlySessions: true},
	Stdio:          {name: "stdio", connect: (*opening).connectStdio, oneStream: true, process: true},
}

// forcedKind returns the transport that a configuration forces; 0: none.
func forcedKind(c *clusters.Cluster) Kind {
	return Kind(max(0, slices.IndexFunc(transports[:], func(t traits) bool {
		return !c.IsCommand() && !t.process && t.name == c.Config().MCP.Transport
	})))
}

func (k Kind) String() string { return cmp.Or(transports[k].name, "unknown") }

// OneStream reports whether what a server says comes on one stream for all calls, so
// that what belongs to which call is known only of what says so.
func (k Kind) OneStream() bool { return transports[k].oneStream }

// transport carries the messages of a session. Each has a file of its own:
// streamable, httpSSE, stdio, and member, which is a session's part of a stdio
// that several sessions have in common.
type transport interface {
	kind() Kind
	// call sends a request and waits for its response. Everything else that
	// comes on its stream goes to the inbox, in the same goroutine.
	call(ctx context.Context, r request) (*jsonrpc.Message, error)
	send(ctx context.Context, msg []byte) error
	// listen opens the stream for what belongs to no call and keeps it open in the
	// background. heard is called when the first attempt is through, and may be
	// called again.
	listen(heard func())
	// close tells the server, unless the session is lost, and releases what
	// the transport holds. It is called once.
	close(ctx context.Context)
}

// request is a request on its way to the server.
type request struct {
	body []byte // the whole message
	id   jsonrpc.ID
	// on gets what the server says on the request's stream before the response; nil
	// stands for the owner of the session.
	on func(*jsonrpc.Message)
	// initializes: the answer begins a session.
	initializes bool
	// repeats are the headers that repeat the body of a request without a session;
	// nil where there is one.
	repeats http.Header
	routing
}

// routing says which of what comes on a stream that several requests have in
// common is about a request.
type routing struct {
	by    *member    // the session that makes it, of those that share a process
	token jsonrpc.ID // of its progress
	// quiet: it is a subscription or the gateway's own question. What the server
	// says without saying to whom is not about it.
	quiet bool
}
