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
// It does not use the Session of proxy/mcp/upstream: that one belongs to a
// cluster, gives requests ids of its own and translates between revisions,
// none of which a pipe needs.
//
// # What may run concurrently
//
// Run is called once. Its goroutines end before it returns, but for those that
// read from the client or write to it: nothing but the other end of its pipe
// ends that.
package relay
