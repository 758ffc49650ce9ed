// Package upstream is the gateway as an MCP client: one session with one
// endpoint of a cluster, over Streamable HTTP, HTTP+SSE or stdio.
//
// # What it owns
//
// A [Session] begins with initialize and ends with Close or with its loss. It
// stays on the endpoint that it was opened with; its owner opens another
// one when it is lost. It carries messages and does not understand them, but
// for what belongs to the hop: initialize, ids that match answers to calls,
// and the server's ping, which it answers itself. A server without sessions is
// seen as one that has them: what it learns of its client with each request
// comes from the session, and for a client that knows no such servers the rest
// is played. All sessions with a command that serves without sessions have one
// process in common, which a crash soon after its start divides again for a
// while; [Transports] has these processes.
//
// All requests pass through [clusters.Endpoint], so that each has the
// cluster's identity and reaches the address that health checks look at.
//
// # What may run concurrently
//
// All methods of a Session may be called from any goroutine. The goroutines of
// a session end before Close returns.
package upstream
