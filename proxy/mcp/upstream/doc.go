// Package upstream is the gateway as an MCP client: sessions with the endpoints
// of clusters, over Streamable HTTP, HTTP+SSE or stdio.
//
// # What it owns
//
// A [Client] opens sessions, and remembers what it has learnt of the endpoints. A
// [Session] begins with initialize and ends with Close or with its loss. It
// stays on the endpoint that it was opened with; its owner opens another
// one when it is lost. It carries messages and does not understand them, but
// for what belongs to the hop: initialize, ids that match answers to calls,
// and the server's ping, which it answers itself. A server without sessions is
// seen as one that has them: what it learns of its client with each request
// comes from the session, and for a client that knows no such servers the rest
// is emulated. All sessions with a command that serves without sessions have one
// process in common, which a crash soon after its start divides again for a
// while; the Client has these processes.
//
// Requests go through a [Host]. That of a cluster's session is a
// [clusters.Endpoint], so that each has the cluster's identity and reaches the
// address that health checks look at. [PassThrough] makes sessions with a gateway,
// for proxy/mcp/relay: what the client says passes as it is.
//
// # The way of a call
//
// Session.Call gives it to the era (stateful, stateless, passing), which gives what goes to
// the server to the transport (streamable, httpSSE, stdio, member). What the
// server says apart from the answer goes to the inbox, which hands it to the owner
// of the session. Each of these has a file, and so have the parts that several of
// them use: place, lifetime, limits, reporter, pace, the table of the calls in
// flight, and the client that makes the HTTP requests. How a session begins is in open (which
// transport), launch and launchshared (which process), and negotiate (which era).
//
// # What may run concurrently
//
// All methods of a Client and of a Session may be called from any goroutine. The
// goroutines of a session end before Close returns.
package upstream
