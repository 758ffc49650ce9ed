// Package federation makes one MCP server of several: which of a member's tools
// are served, what clients call what it lists, who owns a name, how messages are
// rewritten on the way, and how lists and capabilities are merged.
//
// A member is a cluster of a route. Everything here is a pure function of
// messages and of the configuration, and may be called from any goroutine; it
// asks no server. [Catalogue] alone keeps something, behind a lock of its own.
package federation
