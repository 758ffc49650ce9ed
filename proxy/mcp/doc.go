// Package mcp is the MCP action of a route: one endpoint in front of one or
// several MCP servers.
//
// # What it owns
//
// A [Hub] lives as long as the process and owns the downstream sessions. A
// [Route] belongs to one generation and knows what that generation's file says
// to the sessions of one route; a [Handler] serves it over HTTP. Neither holds a
// session, so that a reload costs none. Each request looks its session up in the
// hub and serves it with the clusters of the generation that took the request.
//
// What is a function of one request stands in proxy/mcp/downstream, and what is
// one of messages of several servers in proxy/mcp/federation.
//
// A client of a revision without sessions borrows one for each request: the
// servers' connections need what a session holds, whatever the client speaks.
//
// A session has six parts: its identity, which does not change, and with a lock
// each its lifetime, its servers, its calls, the questions that servers ask its
// client, and the outlets on which the client hears. What answers one call, the
// dispatcher with its lister and resolver, belongs to that call alone.
//
// A session has one slot for each cluster of its route (proxy/mcp/slot): the
// upstream session, opened when first needed, that belongs to this downstream
// session alone. What is said to an upstream, and how, is the business of
// proxy/mcp/upstream.
//
// A stream to a client outlives the HTTP answer that it began with: what it
// has carried is kept in the session, within the bounds of the file, until the
// client has had the time to resume it.
//
// # What may run concurrently
//
// Everything exported may be called from any goroutine. Locks guard memory
// only: none is held while something is read from or written to a network.
// Every goroutine has an owner that waits for it: those of a request end with
// the request, those of a session before the session is gone, the hub's own
// in [Hub.Close].
package mcp
