package listeners

import "github.com/mcpgateway/mcpgateway/internal/memory"

const (
	// connectionCost is what a connection takes without any request, in bytes:
	// the state and the buffers of TLS and of the protocol server.
	connectionCost = 40 << 10
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

const (
	// quicShare is the part of the memory limit, as its divisor, that a connection
	// of HTTP/3 may fill with what no handler sees: streams whose beginning is
	// missing, or whose header does not end. Everything else is charged to the
	// request.
	quicShare = 128
	// leastQUICWindow lets some uploads stall without stopping others.
	leastQUICWindow = 4 * streamWindow
)

// quicWindow is connectionWindow for a new connection of HTTP/3. It is not
// charged: few clients use it, and one that fills it is seen by what is live
// then.
func (l *Limits) quicWindow(b *memory.Budget) int {
	window := l.connectionWindow()
	if limit := b.Stats().Limit; limit > 0 {
		window = min(window, max(leastQUICWindow, int(limit/quicShare)))
	}
	if b.Level() >= memory.High {
		window = min(window, 2*streamWindow)
	}
	return window
}
