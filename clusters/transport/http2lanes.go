package transport

import (
	"net/http"
	"sync"
	"sync/atomic"
)

// maxStreams bounds the requests on one connection of HTTP/2 or 3. The answers of
// so many may wait for clients that read slowly, and leave the connection room
// for others: see connectionWindow. Every server should permit that many (RFC
// 9113, section 6.5.2; RFC 9114, section 6.1). Over HTTP/3 one beyond what the
// server permits would wait for the end of another, which with event streams can
// be long.
const maxStreams = 100

// connectionWindow is how much of all answers on one connection of HTTP/3, in
// bytes, a server may send before any of it is read: as much as its streams may,
// and a third more, since quic-go grants new room only when a quarter of the
// window has been read. That of net/http over HTTP/2 is 1 GiB.
const connectionWindow = (maxStreams + 1) * StreamWindow * 4 / 3

// lanes are the transports of a connection set whose connections may speak HTTP/2. A
// transport puts as many requests on a connection as the server permits, so each
// gets no more than belong on one. Lanes that are not needed become idle: the
// first with room is taken.
type lanes struct {
	dial func() *http.Transport

	mu  sync.Mutex
	all atomic.Pointer[[]*lane] // written under mu
}

// lane is a transport that counts its requests over HTTP/2, and those whose
// protocol is not known yet.
type lane struct {
	*http.Transport
	active atomic.Int64
	crowd  crowd
}

func newLanes(dial func() *http.Transport) *lanes {
	l := &lanes{dial: dial}
	l.all.Store(&[]*lane{{Transport: dial()}})
	return l
}

// choose counts a request onto a lane, until leave, and its short body of so many
// bytes onto the lane's crowd.
func (l *lanes) choose(short int64) http.RoundTripper {
	for {
		all := *l.all.Load()
		for _, lane := range all {
			if lane.crowd.stuck.Load() > 0 || !lane.crowd.join(short) {
				continue
			}
			if lane.active.Add(1) <= maxStreams {
				return lane
			}
			lane.active.Add(-1)
			lane.crowd.leave(short)
		}
		l.mu.Lock()
		if len(*l.all.Load()) == len(all) {
			grown := append(all[:len(all):len(all)], &lane{Transport: l.dial()})
			l.all.Store(&grown)
		}
		l.mu.Unlock()
	}
}

// leave is called when a request is over, or travels on HTTP/1.1.
func (l *lane) leave() { l.active.Add(-1) }

// CloseIdleConnections closes the connections that carry nothing.
func (l *lanes) CloseIdleConnections() {
	for _, lane := range *l.all.Load() {
		lane.Transport.CloseIdleConnections()
	}
}
