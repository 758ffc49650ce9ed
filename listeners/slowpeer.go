package listeners

import (
	"errors"
	"net"
	"sync/atomic"
	"time"
)

// minWriteRate, in bytes a second, is what a client is expected to take of one
// large write beyond the idle timeout.
const minWriteRate = 16 << 10

// slowPeer is the socket, below TLS if there is any. It gives up on a client that
// takes nothing for the idle timeout: there is no other bound on a stream's
// length, and a client that stops reading would hold its handler for ever.
type slowPeer struct {
	net.Conn
	conn *Conn
	// writeBy is the deadline that net/http or a handler set, in Unix nanoseconds; 0 is none.
	writeBy atomic.Int64
}

func (p *slowPeer) Write(b []byte) (int, error) {
	deadline := time.Now().Add(p.conn.limits.writeTime(len(b)))
	if by := p.writeBy.Load(); by != 0 && by < deadline.UnixNano() {
		deadline = time.Unix(0, by)
	}
	if err := p.Conn.SetWriteDeadline(deadline); err != nil {
		return 0, err
	}
	return p.Conn.Write(b)
}

// writeTime is how long a client may take for n bytes.
func (l *Limits) writeTime(n int) time.Duration {
	return l.IdleTimeout + time.Duration(n)*time.Second/minWriteRate
}

func (p *slowPeer) SetWriteDeadline(t time.Time) error {
	by := int64(0)
	if !t.IsZero() {
		by = t.UnixNano()
	}
	p.writeBy.Store(by)
	return p.Conn.SetWriteDeadline(t)
}

func (p *slowPeer) SetDeadline(t time.Time) error {
	return errors.Join(p.SetReadDeadline(t), p.SetWriteDeadline(t))
}

// CloseWrite lets an answer end before its connection does, on a client that is
// still sending.
func (p *slowPeer) CloseWrite() error { return closeWrite(p.Conn) }

func closeWrite(nc net.Conn) error {
	if half, ok := nc.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
