// Package listenerstest has clients of what the standard library cannot ask
// for: a WebSocket over a stream of HTTP/2 or 3. It is for tests only.
package listenerstest
