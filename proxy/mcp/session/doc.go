// Package session is what a client has behind one route, whatever transport it
// speaks over, and over all generations of the configuration that come and go.
//
// # What it owns
//
// A [Registry] lives as long as the process and owns the sessions. A [Route] belongs
// to one generation and knows what that generation's file says to the sessions of one
// route. A transport speaks for a [Sender], finds or opens a [Session], and launches
// calls in it, whose answers go to an outlet.
//
// A session has six parts: its identity, which does not change, and with a lock each
// its lifetime, its servers, its calls, the questions that servers ask its client,
// and the outlets on which the client hears. What answers one call, the dispatcher
// with its lister and resolver, belongs to that call alone. What is a function of
// messages of several servers stands in proxy/mcp/federation.
//
// A session has one slot for each cluster of its route (proxy/mcp/slot): the
// upstream session, opened when first needed, that belongs to this session alone.
// A client of a revision without sessions borrows a session for each request: the
// servers' connections need what a session holds, whatever the client speaks.
//
// A stream to a client outlives the HTTP answer that it began with: what it has
// carried is kept in the session, within the bounds of the file, until the client has
// had the time to resume it.
//
// # What may run concurrently
//
// Everything exported may be called from any goroutine. Locks guard memory only: none
// is held while something is read from or written to a network. The type session
// says in which order they are taken.
package session
