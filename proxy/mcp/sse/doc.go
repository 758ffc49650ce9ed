// Package sse reads and writes server-sent events: the text/event-stream of
// the WHATWG HTML standard, section 9.2.
//
// # What it owns
//
// The framing alone: the package does not read the data of an event. The [Reader]
// bounds what it holds, since the other side decides how long an
// event is. The [Writer] writes each event at once and whole.
//
// # What may run concurrently
//
// A Reader and a Writer belong to one goroutine each. They share nothing.
package sse
