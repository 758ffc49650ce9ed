package listeners

const (
	// streamWindow is how much of a request's body, in bytes, a client may send
	// over HTTP/2 and HTTP/3 before a handler has read any of it.
	streamWindow = 256 << 10
	// maxConnectionWindow bounds how much one connection can make us keep, in
	// bytes.
	maxConnectionWindow = 40 << 20
)

// connectionWindow is how much a client may send on one connection, in bytes,
// that no handler has read yet. It holds the windows of all the streams that the
// connection may have, as far as its bound allows: flow control on the
// connection would otherwise let uploads that stall stop every other one, and
// a proxy in front of us has many clients on one connection. One window more is
// for what belongs to no request: over HTTP/3 the control streams. A third more
// is for quic-go, which grants new room on a connection only when handlers have
// read a quarter of its window since the last grant.
func (l *Limits) connectionWindow() int {
	return min(maxConnectionWindow, (l.MaxConcurrentStreams+1)*streamWindow*4/3)
}
