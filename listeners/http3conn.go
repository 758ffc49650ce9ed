package listeners

import "time"

// What only a connection of HTTP/3 does: no answer can carry the word to go, and
// http3 does not tell what it is doing.

// advance ends the handshake of a QUIC connection, for better or worse; only
// the first to call it succeeds. In phaseHTTP3, which one that is to leave does
// not reach, leave sends GOAWAY and kill cuts.
func (c *Conn) advance(to phase, goAway, cut func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != phaseHandshake || to == phaseHTTP3 && c.leaving {
		return false
	}
	c.phase, c.goAway, c.cut = to, goAway, cut
	if at := c.retireAt.Load(); to == phaseHTTP3 && at != 0 {
		c.leaveAt(time.Unix(0, at))
	}
	return true
}

// leaveAt has a connection of HTTP/3 get GOAWAY at that moment: no answer can
// carry the word. Called with c.mu held.
func (c *Conn) leaveAt(at time.Time) {
	if c.goTimer != nil {
		c.goTimer.Stop()
	}
	if !c.removed {
		c.goTimer = time.AfterFunc(time.Until(at), c.retireHTTP3)
	}
}

// retireHTTP3 has the connection leave. One that has carried nothing may carry
// one request first: clients send a request that crossed with GOAWAY again, but
// only once.
func (c *Conn) retireHTTP3() {
	if c.served.Load() {
		c.leave()
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.removed {
		c.goTimer = time.AfterFunc(c.server.config.Limits.HeaderTimeout, c.leave)
	}
}

// request counts a request of HTTP/3 until done is called. GOAWAY names what
// comes after this one.
func (c *Conn) request() (done func()) {
	c.requests.Add(1)
	c.served.Store(true)
	if c.Retired() {
		c.leave()
	}
	return func() {
		c.answered.Store(time.Now().UnixNano())
		if c.requests.Add(-1) == 0 {
			c.awaitRequest()
		}
	}
}

// awaitRequest has a connection of HTTP/3 end when no request comes for the
// idle timeout. http3's own takes one whose header never ends for activity.
func (c *Conn) awaitRequest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.removed {
		return
	}
	if c.idle != nil {
		c.idle.Stop()
	}
	c.idle = time.AfterFunc(c.server.config.Limits.IdleTimeout, func() {
		if c.requests.Load() == 0 {
			c.kill()
		}
	})
}

// delivered reports whether the last answer of a connection of HTTP/3 ended so
// long ago.
func (c *Conn) delivered(ago time.Duration) bool {
	last := c.answered.Load()
	return c.requests.Load() == 0 && (last == 0 || time.Since(time.Unix(0, last)) >= ago)
}
