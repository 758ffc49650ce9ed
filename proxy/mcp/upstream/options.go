package upstream

import (
	"net/http"

	"github.com/mcpgateway/mcpgateway/clusters/process"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// Options are what one session is opened with. What all sessions have in common is
// in Client, and what belongs to one call is in its context: WithHeader and
// WithCaller.
type Options struct {
	// Init is the JSON of the initialize request's params: protocolVersion,
	// capabilities and clientInfo. The cluster's mcp.protocol, when it forces
	// a revision, takes the place of protocolVersion.
	Init []byte
	// Modern: the client speaks a revision without sessions. Then a server that
	// does too gets what the client says of itself with each request, and the
	// client gets to know what the server requires of it.
	Modern bool
	// Header is sent on every HTTP request of the session.
	Header http.Header
	// MaxMessage is the longest request or notification that is read, in bytes.
	// 0: 4 MiB.
	MaxMessage int64
	// MaxResult is the longest response that is read, in bytes. 0: 16 MiB. A
	// longer one is passed over, and its call ends with a *TooLongError.
	MaxResult int64

	// Principal is whose session it is; "" for an anonymous client.
	Principal string
	// Backoff delays the start of the session's process after earlier ones of
	// the same owner have ended by themselves. Without one their ends delay all
	// processes of the cluster.
	Backoff *process.Backoff
	// Alone: a command gets a process of its own for the session, whatever the
	// server's revision: what the client wants to hear names no call.
	Alone bool

	// OnMessage gets, in order, the notifications and the requests of the
	// server that belong to no call. It is called from the session's reader,
	// possibly before Open returns, and must not block. It may be nil.
	OnMessage func(*jsonrpc.Message)
	// OnClose is called once, from a goroutine of its own, when a session that
	// Open returned has ended: with nil after Close, else with why it was lost. It
	// may be nil.
	OnClose func(error)
	// OnIgnored is told of what the server sent and no client gets: bytes that
	// are no message, answers to no call. It must not block, and may be nil.
	// Of what comes too often not all is to be reported, which report says.
	OnIgnored func(err error, report bool)
}

// check is what a health check opens a session with, which no client uses. No
// process is stopped for it, and it waits for none to end.
type check struct {
	// anew: a command gets another process, which takes the place of the one that
	// sessions share.
	anew bool
	// spare, if not nil, is left to a client, uninitialised, where the server has
	// sessions.
	spare *spare
}
