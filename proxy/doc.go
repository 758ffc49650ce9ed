// Package proxy is the running gateway: it loads the file, turns it into
// generations, and moves from one to the next without losing a connection.
//
// A Generation is one applied state of the file: listeners' servers, clusters,
// routes. It is immutable but for its count of users. Its life is a walk through this
// package, in one file a step:
//
//   - reload: a reloader loads the file;
//   - plan: Diff says what the file changes;
//   - prepare, bind: a preparation builds that, and is committed or discarded;
//   - commit: the preparation becomes the newest generation;
//   - drain: connections leave the generation before it;
//   - release: what that generation used is freed with its last request.
//
// A dispatcher, the handler of a server, leads each request to the generation that
// serves it whole: the newest, or the one that the server or the connection is
// pinned to. shared is what generations have in common and what outlives them:
// sockets, MCP sessions, logs, metrics. Gateway ties these together.
//
// Reloads run one at a time in the goroutine of Gateway.Run; requests only read the
// pointer to the newest generation. There is one lock, generations.mu, and no other is
// taken while it is held.
package proxy
