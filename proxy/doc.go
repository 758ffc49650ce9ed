// Package proxy is the running gateway: it loads the file, turns it into
// generations, and moves from one to the next without losing a connection.
//
// A Generation is one applied state of the file: listeners' servers, clusters,
// routes. It is immutable but for its count of users. A dispatcher, the handler of a
// server, leads each request to the generation that serves it whole: the newest,
// or the one that the server or the connection is pinned to. The Gateway owns what
// outlives generations: sockets, MCP sessions, logs, metrics. Reloads run one
// at a time in one goroutine of the Gateway's; requests only read the pointer
// to the current generation.
package proxy
