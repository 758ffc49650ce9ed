package listeners

import (
	"sync/atomic"
	"time"

	"github.com/mcpgateway/mcpgateway/tls"
)

// quicHandshake is what a connection over QUIC needs until its handshake has ended.
type quicHandshake struct {
	began    time.Time
	snapshot *tls.ServerSnapshot // which decided when it began
	// proven notes that the client is where it says, and reports whether it has a
	// place.
	proven func() (hasPlace bool)
}

// http3Requests are those that a connection of HTTP/3 carries: http3 does not tell
// what it is doing.
type http3Requests struct {
	open     atomic.Int64 // in progress
	served   atomic.Bool  // one has come
	answered atomic.Int64 // Unix nanoseconds: when the last one ended
}

// delivered reports whether the last answer of a connection of HTTP/3 ended so
// long ago.
func (r *http3Requests) delivered(ago time.Duration) bool {
	last := r.answered.Load()
	return r.open.Load() == 0 && (last == 0 || time.Since(time.Unix(0, last)) >= ago)
}

// request counts a request of HTTP/3 until done is called. GOAWAY names what
// comes after this one.
func (c *Conn) request() (done func()) {
	c.http3.open.Add(1)
	c.http3.served.Store(true)
	if c.Retired() {
		c.leave()
	}
	return func() {
		c.http3.answered.Store(time.Now().UnixNano())
		if c.http3.open.Add(-1) == 0 {
			c.awaitRequest()
		}
	}
}

// awaitRequest has a connection of HTTP/3 end when no request comes for the
// idle timeout. http3's own takes one whose header never ends for activity.
func (c *Conn) awaitRequest() {
	c.unlessRemoved(func() {
		if c.idle != nil {
			c.idle.Stop()
		}
		c.idle = time.AfterFunc(c.limits.IdleTimeout, func() {
			if c.http3.open.Load() == 0 {
				c.kill()
			}
		})
	})
}
