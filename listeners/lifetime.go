package listeners

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// phase is what a connection is doing.
type phase int

const (
	phaseHandshake phase = iota
	phaseIdle            // HTTP/1.1 between requests, or before the first byte
	phaseActive          // HTTP/1.1 with a request
	phaseHTTP2
	phaseHTTP3
	phaseHijacked // a handler owns it
	phaseGone     // a QUIC handshake that came to nothing
)

// lifetime is how far a connection has come, and how it ends in order: retire has
// its next answer tell the client to go, leave ends it once no request is in
// progress, and end has its streams end as well. Conn.kill cuts what is left.
type lifetime struct {
	limits   *Limits
	httpConn *httpConn     // what the protocol server reads and writes; set before phaseIdle; nil for QUIC
	retireAt atomic.Int64  // Unix nanoseconds; 0 is never
	http3    http3Requests // that it has carried
	ending   chan struct{}
	gone     chan struct{}

	mu      sync.Mutex
	phase   phase
	leaving bool         // ends as soon as no request is in progress
	ended   bool         // ending is closed
	removed bool         // nothing serves it any more
	goAway  func()       // in phaseHTTP2 and phaseHTTP3
	cut     func()       // ends everything; nil before there is a connection
	client  netip.Prefix // whose place it has; the zero Prefix for none
	evicted bool         // it is ending, or will be cut
	goTimer *time.Timer  // towards retireAt, in phaseHTTP3
	idle    *time.Timer  // towards the end for want of a request, in phaseHTTP3
	expiry  *time.Timer  // towards the client certificate's NotAfter, then the force
}

// Retired reports whether the connection has been told to go: its next answer
// carries Connection: close, which on HTTP/2 becomes GOAWAY.
func (l *lifetime) Retired() bool {
	at := l.retireAt.Load()
	return at != 0 && time.Now().UnixNano() >= at
}

// Ending is closed when streams on the connection must end cleanly now: at the
// drain's timeout, at shutdown, at the client certificate's NotAfter. Soon
// after, the connection is cut.
func (l *lifetime) Ending() <-chan struct{} { return l.ending }

// Done is closed when the connection has ended. Handlers of its last requests
// may run a little longer.
func (l *lifetime) Done() <-chan struct{} { return l.gone }

// retire sets the moment from which on the connection is told to go; an earlier
// one stays.
func (l *lifetime) retire(at time.Time) {
	moment := at.UnixNano()
	for {
		old := l.retireAt.Load()
		if old != 0 && old <= moment {
			return
		}
		if l.retireAt.CompareAndSwap(old, moment) {
			break
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.phase == phaseHTTP3 {
		l.leaveAt(at)
	}
}

// leave ends the connection as soon as no request is in progress, which may be
// now. HTTP/2 and 3 get GOAWAY.
func (l *lifetime) leave() {
	l.retire(time.Now())
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leaving {
		return
	}
	l.leaving = true
	switch l.phase {
	case phaseIdle:
		// A reader that waits for the next request finds the time to be over, and
		// closes in order.
		l.httpConn.Conn.SetReadDeadline(longAgo)
	case phaseHTTP2, phaseHTTP3:
		if !l.removed {
			l.goAway()
		}
	}
}

// end has the streams end, and the connection with them.
func (l *lifetime) end() {
	l.mu.Lock()
	if !l.ended {
		l.ended = true
		close(l.ending)
	}
	l.mu.Unlock()
	l.leave()
}

// over notes that nothing serves the connection any more, and reports whether
// that is new.
func (l *lifetime) over() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.removed {
		return false
	}
	l.removed = true // from now on it takes no place any more
	for _, timer := range []*time.Timer{l.expiry, l.goTimer, l.idle} {
		if timer != nil {
			timer.Stop()
		}
	}
	close(l.gone)
	return true
}

// unlessRemoved calls f with mu held, while the connection is served.
func (l *lifetime) unlessRemoved(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.removed {
		f()
	}
}

// setPhase moves the connection on.
func (l *lifetime) setPhase(p phase) {
	l.mu.Lock()
	l.phase = p
	l.mu.Unlock()
}

// is reports whether the connection is in that phase.
func (l *lifetime) is(p phase) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.phase == p
}

// setReadDeadline is how a protocol server sets one. Between requests a
// connection that is leaving has no time left, and one that is retired waits no
// longer for a next request than for its header.
func (l *lifetime) setReadDeadline(t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.phase == phaseIdle {
		if l.leaving {
			t = longAgo
		} else if l.Retired() {
			if last := time.Now().Add(l.limits.HeaderTimeout); t.IsZero() || t.After(last) {
				t = last
			}
		}
	}
	return l.httpConn.Conn.SetReadDeadline(t)
}

// speaksHTTP2 has leave send GOAWAY from now on. It reports false if the
// connection is to leave already.
func (l *lifetime) speaksHTTP2(goAway func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leaving {
		return false
	}
	l.phase, l.goAway = phaseHTTP2, goAway
	return true
}

// advance ends the handshake of a QUIC connection, for better or worse; only
// the first to call it succeeds. In phaseHTTP3, which one that is to leave does
// not reach, leave sends GOAWAY and kill cuts.
func (l *lifetime) advance(to phase, goAway, cut func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.phase != phaseHandshake || to == phaseHTTP3 && l.leaving {
		return false
	}
	l.phase, l.goAway, l.cut = to, goAway, cut
	if at := l.retireAt.Load(); to == phaseHTTP3 && at != 0 {
		l.leaveAt(time.Unix(0, at))
	}
	return true
}

// leaveAt has a connection of HTTP/3 get GOAWAY at that moment: no answer can
// carry the word. Called with mu held.
func (l *lifetime) leaveAt(at time.Time) {
	if l.goTimer != nil {
		l.goTimer.Stop()
	}
	if !l.removed {
		l.goTimer = time.AfterFunc(time.Until(at), l.retireHTTP3)
	}
}

// retireHTTP3 has the connection leave. One that has carried nothing may carry
// one request first: clients send a request that crossed with GOAWAY again, but
// only once.
func (l *lifetime) retireHTTP3() {
	if l.http3.served.Load() {
		l.leave()
		return
	}
	l.unlessRemoved(func() { l.goTimer = time.AfterFunc(l.limits.HeaderTimeout, l.leave) })
}
