package transport

import (
	"net/http"
	"time"
)

// maxHush is how long a server may leave a request unacknowledged before
// others go elsewhere. It should answer at once (RFC 9000, section 13.2.1); one
// that was started anew does not know the connection, and need not say so.
const maxHush = time.Second

// http3Conn is a connection of an http3Transport, whose mu guards it.
type http3Conn struct {
	quic     *quicConn
	client   http.RoundTripper // of http3, on this connection
	active   int               // requests in flight
	used     bool              // there was a request
	draining bool              // there will be no new one
	timer    *time.Timer
	crowd    crowd

	heard uint64    // packets from the server, when last looked
	asked time.Time // of the first request since then; zero when there was none
}

// take counts one more request. fresh says that it is the first.
func (c *http3Conn) take() (fresh bool) {
	fresh = !c.used
	c.used = true
	c.active++
	if c.asked.IsZero() {
		c.asked = time.Now()
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	return fresh
}

// hushed reports whether the server has said nothing at all since a request.
func (c *http3Conn) hushed(now time.Time) bool {
	if heard := c.quic.ConnectionStats().PacketsReceived; heard != c.heard {
		c.heard, c.asked = heard, time.Time{}
	}
	return !c.asked.IsZero() && now.Sub(c.asked) >= maxHush
}
