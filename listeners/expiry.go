package listeners

import "time"

// lookAgain is how often the clock is compared with the end of a client
// certificate. A timer alone would be late by as long as the machine slept.
const lookAgain = time.Minute

// expired reports whether the client certificate is over.
func (c *Conn) expired() bool {
	at := c.notAfter.Load()
	return at != 0 && time.Now().After(time.Unix(at, 0))
}

// awaitExpiry has the connection end, with what it carries, once the client
// certificate is over. Called with mu held, while the connection is served.
func (c *Conn) awaitExpiry() {
	if c.evicted {
		return
	}
	wait := min(lookAgain, time.Until(time.Unix(c.notAfter.Load(), 0)))
	c.expiry = time.AfterFunc(wait, func() {
		if c.expired() {
			c.evict()
			return
		}
		c.unlessRemoved(c.awaitExpiry)
	})
}

// evict ends the connection of a peer that is no longer authorised. What has not
// ended by itself after the grace is cut: a stream of a kind that no handler ends,
// or an answer whose client reads slowly.
func (c *Conn) evict() {
	c.end()
	c.unlessRemoved(func() {
		if c.evicted {
			return
		}
		c.evicted = true
		if c.expiry != nil {
			c.expiry.Stop()
		}
		c.expiry = time.AfterFunc(c.server.grace, c.kill)
	})
}
