package upstream

import (
	"net/http"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// listener keeps the GET stream of Streamable HTTP open: what belongs to no
// call comes on it.
type listener struct {
	t      *streamable
	heard  func() // called with each attempt that is through
	opened bool   // the server has had a stream
	position
}

func (t *streamable) listen(heard func()) {
	l := &listener{t: t, heard: heard, position: position{attempts: Attempts{Pace: t.pace.Unbounded()}}}
	if !t.http.toGateway {
		l.attempts.n = 1 // a server that begins without a stream is asked less often
	}
	t.life.spawn(l.run)
}

// run opens the stream again whenever it ends, until the session does or the
// server turns out to have none.
func (l *listener) run() {
	for {
		moved := l.t.place.next()
		if l.once() || !l.attempts.Again(l.t.life.ctx, moved) {
			return
		}
	}
}

// once opens one stream and reads it to its end. none tells that the server has no
// such stream.
func (l *listener) once() (none bool) {
	lease := newLease(l.t.life.ctx, l.t.life.ctx)
	defer lease.end()
	res, err := l.t.roundTrip(lease.ctx, http.MethodGet, nil, nil, l.lastID)
	l.heard()
	if err != nil {
		return false
	}
	defer res.Body.Close()
	if !success(res) && (l.opened || l.t.http.toGateway) {
		// What was there and is not found has gone with the session, as when
		// the server was restarted. No other client may notice: a client that only
		// listens makes no calls.
		_, _ = l.t.refused(lease.ctx, res, jsonrpc.ID{})
	}
	if !success(res) || mediaType(res) != typeEvents {
		return !mayListenLater(res.StatusCode)
	}
	l.opened = true
	events := l.t.in.limits.events(res.Body)
	defer events.Close()
	for {
		event, err := events.Next()
		if err != nil {
			return false
		}
		l.passed(event)
		if m, ok := skimmed(event); ok {
			l.t.in.passOver(m.IsCall(), m.ID())
		}
		for _, m := range l.t.in.messages(event) {
			l.t.in.route(m, nil)
		}
	}
}

// mayListenLater reports whether a status is one of now, not of ever: 405, 404
// and 406 say that there is no stream. 409 is the answer of servers that still
// count the stream that just broke off.
func mayListenLater(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestTimeout, http.StatusConflict,
		http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented:
		return false
	}
	return status >= http.StatusInternalServerError
}
