// Package downstream judges what clients send over HTTP before a session is
// looked for: whether the host and the origin may call at all, what the client
// accepts, whether headers and body agree, which of its headers go upstream; and
// it writes the answers that are no message of a session.
//
// Everything here is a function of one request and of the configuration, and may
// be called from any goroutine.
package downstream
