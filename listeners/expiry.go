package listeners

import (
	"io"
	"net/http"
	"time"
)

// lookAgain is how often the clock is compared with the end of a client
// certificate. A timer alone would be late by as long as the machine slept.
const lookAgain = time.Minute

// endsAt has the connection end, with what it carries, once the client
// certificate is over.
func (c *Conn) endsAt(notAfter time.Time) {
	c.notAfter.Store(notAfter.Unix())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.awaitExpiry()
}

// expired reports whether the client certificate is over.
func (c *Conn) expired() bool {
	at := c.notAfter.Load()
	return at != 0 && time.Now().After(time.Unix(at, 0))
}

// awaitExpiry is called with c.mu held.
func (c *Conn) awaitExpiry() {
	if c.removed || c.evicted {
		return
	}
	wait := min(lookAgain, time.Until(time.Unix(c.notAfter.Load(), 0)))
	c.expiry = time.AfterFunc(wait, func() {
		if c.expired() {
			c.evict()
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.awaitExpiry()
	})
}

// evict ends the connection of a peer that is no longer authorised. What has not
// ended by itself after the grace is cut: a stream of a kind that no handler ends,
// or an answer whose client reads slowly.
func (c *Conn) evict() {
	c.end()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.removed || c.evicted {
		return
	}
	c.evicted = true
	if c.expiry != nil {
		c.expiry.Stop()
	}
	c.expiry = time.AfterFunc(c.server.grace, c.kill)
}

// refuseExpired has the client come again on another connection (RFC 9110
// section 15.5.20), with a certificate that it may have by now.
func refuseExpired(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusMisdirectedRequest)
	_, _ = io.WriteString(w, `{"error":{"code":"client_certificate_expired","message":"the client certificate of this connection, or of a CA that it comes from, has expired; open another connection"}}`+"\n")
}
