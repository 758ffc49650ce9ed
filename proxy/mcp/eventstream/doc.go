// Package eventstream carries messages to a client of MCP, and lets the client
// fetch again what a broken connection has cost it (MCP 2025-11-25, Streamable
// HTTP, Resumability and Redelivery).
//
// # What it owns
//
// A [Stream] queues messages and one answer. A [Reader] takes them out: the
// goroutine of an HTTP request, which [Serve] or [Pump] runs. When its
// connection breaks the next request may bring another Reader. A [Store] keeps
// the events of all streams of one session, within bounds, for that Reader. An
// [Outlet] is where the answer of one call goes: a Stream, or what shares one
// with other calls.
//
// The package reads no message, and does not know whose session a stream is of.
//
// # What may run concurrently
//
// Everything exported may be called from any goroutine, except that a Reader
// belongs to one. A sender never waits for a Reader: a Reader that is too slow is
// ended. The lock of a Stream is taken before that of its Store, and no
// other is taken under either.
package eventstream
