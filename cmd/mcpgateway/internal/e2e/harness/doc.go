// Package harness is what the packages of e2e share: the gateway as a process of
// the binary that users get, its clients over every version of HTTP, and the
// servers, authorities and certificates around it.
//
// Gateway is any process on any file. Edge, Front and World are such processes
// with a file of parts that a test edits: Edge before an HTTP upstream, Front
// before clients with certificates, World before MCP servers. Script is one before a
// stdio server that is a shell script.
//
// Each package of e2e is one subject, so that they run side by side.
package harness
