// Package downstream serves a route to its clients over HTTP: Streamable HTTP with
// sessions and without, HTTP+SSE, and WebSockets. It judges what they send before a
// session is looked for (whether the host and the origin may call at all, what the
// client accepts, whether headers and body agree, which of its headers go upstream),
// hands the messages to package session, and writes what comes of them.
package downstream
