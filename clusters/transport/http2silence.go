package transport

import (
	"errors"
	"sync/atomic"
	"time"
)

const (
	// maxPingWait is how long the answer to a PING may take before new requests
	// go to new connections. A server should answer before all else (RFC 9113,
	// section 6.7).
	maxPingWait = time.Second
	// lostPingWait is when the connection counts as dead, and what is on it
	// ends.
	lostPingWait = 4 * time.Second
	// pingAfter is how long a connection may carry nothing before net/http sends a
	// PING, and ends it with all that is on it where no answer comes within
	// pingWait. Servers of gRPC end connections that get one more often than every
	// 5 minutes.
	pingAfter = 6 * time.Minute
	pingWait  = time.Minute
)

// errSilent ends the requests on an HTTP/2 connection that carries nothing any
// more. The kernel does not notice as long as something on the way, such as a
// forwarder of TCP, acknowledges what is sent.
var errSilent = errors.New("the HTTP/2 connection has gone silent: the server answered neither the request nor a PING")

// silence finds out whether an HTTP/2 connection is dead. net/http sends a PING
// with the RST_STREAM of a request that was given up, if it has read no frame
// since the request; it does nothing about that PING without an answer. It sends
// no others before pingAfter: servers of gRPC end connections with more of them.
type silence struct {
	heard atomic.Int64 // bytes from the server
	// asked says that a question is under way.
	asked atomic.Bool
	// quiet says that the last PING was answered, and no response header has
	// come since: then net/http sends no PING with the next RST_STREAM.
	quiet atomic.Bool
}

// question is called when a request was given up for which net/http has sent a
// PING; heard is what had come when the request was sent. When no byte comes
// within maxPingWait, the connection set is retired, so that new requests get a new
// connection. When none comes within lostPingWait, and there was a PING, the
// connection ends with all that is on it.
func (c *trackedConn) question(heard int64) {
	s := &c.silence
	if s.heard.Load() != heard || !s.asked.CompareAndSwap(false, true) {
		return
	}
	pinged := !s.quiet.Load()
	alive := func() bool {
		if s.heard.Load() == heard {
			return false
		}
		s.quiet.Store(true)
		s.asked.Store(false)
		return true
	}
	time.AfterFunc(maxPingWait, func() {
		if alive() || c.set.ctx.Err() != nil {
			return
		}
		c.set.pool.rotate(c.set)
		if !pinged {
			return
		}
		time.AfterFunc(lostPingWait-maxPingWait, func() {
			if !alive() {
				c.set.end(errSilent, c)
				c.Close()
			}
		})
	})
}
