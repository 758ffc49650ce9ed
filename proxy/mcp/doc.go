// Package mcp is the MCP action of a route: one endpoint in front of one or
// several MCP servers.
//
// A [Hub] lives as long as the process and owns the sessions of clients, which are
// those of proxy/mcp/session. A [Handler] belongs to one generation, and serves one
// route of it over HTTP, with the [Config] that the file has for it. It holds no
// session, so that a reload costs none: each request looks its session up, and is
// served with the clusters of the generation that took it.
//
// Everything exported may be called from any goroutine. Every goroutine has an owner
// that waits for it: those of a request end with the request, those of a session
// before the session is gone, the hub's own in [Hub.Close].
package mcp
