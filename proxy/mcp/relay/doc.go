// Package relay is an MCP server on two pipes that speaks for a gateway: what
// a client says on one is sent to the gateway's endpoint by Streamable HTTP,
// what comes back is said on the other. It is how desktop clients, which start
// their servers as child processes, reach a gateway.
//
// # What it owns
//
// A [Relay] understands of the messages what belongs to its two hops: the
// session that initialize begins (up to 2025-11-25), the headers that repeat a
// body (2026-07-28), and cancellation, which is a message on a pipe and the
// end of a connection in the newer revision. Everything else passes byte for
// byte. The client does not see a session that is lost and begun anew, nor a
// gateway that is away for less than the relay's patience.
//
// Its sessions with the gateway are those of proxy/mcp/upstream, made by
// [upstream.PassThrough]: requests, answers and streams are read and resumed there.
// What is the relay's own is what a client on a pipe cannot do: to repeat a request
// while the gateway is away, to begin a lost session anew, and to subscribe again.
//
// # The way of a message
//
// [Relay] reads it (pipe.go), keeps the requests in flight (relay.go), and gives it
// to the side of the gateway (sessions.go), which sends it in the session that is
// current; revive.go replaces a session that is lost, and subscribe.go keeps
// subscriptions. The URL, the token and the transport are in host.go.
//
// # What may run concurrently
//
// Run is called once. Its goroutines end before it returns, but for those that
// read from the client or write to it: nothing but the other end of its pipe
// ends that.
package relay
