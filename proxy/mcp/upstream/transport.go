package upstream

import (
	"context"
	"net/http"

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
	// background. The channel is closed when the first attempt is through. It is
	// called once.
	listen() <-chan struct{}
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
