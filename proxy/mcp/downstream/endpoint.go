package downstream

import (
	"net/http"

	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/session"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// endpoint is what all transports of a route are made of.
type endpoint struct {
	route   *session.Route
	forward []string // canonical names of headers that may go upstream
}

// sender is who sends the message of an exchange.
func (e *endpoint) sender(x exchange) session.Sender {
	return session.Sender{Route: e.route, Principal: x.principal(), Info: x.info(), Header: forwarded(x.r, e.forward)}
}

// anew says how clients of a transport that names sessions come to another one.
var anew = [...]string{session.Streamable: "initialize anew", session.HTTPSSE: "open a stream anew"}

// find finds the session that a request names. Where there is none that this client
// may use it answers, and reports false.
func (e *endpoint) find(x exchange, name string, via session.Transport, id jsonrpc.ID) (session.Session, bool) {
	s, ok := e.route.Find(name, via)
	switch v := x.r.Header.Get(spec.HeaderVersion); {
	case !ok:
		x.refuse(http.StatusNotFound, id, "there is no such session; "+anew[via])
	case !s.BelongsTo(x.principal()):
		x.info().SetFlag(filter.FlagUnauthorized)
		x.refuse(http.StatusForbidden, id, "the session belongs to another principal")
	case via == session.Streamable && v != "" && !s.Speaks(v) && !spec.IsLegacy(v):
		x.reject(id, spec.UnsupportedVersion(e.route.Offered().Versions, v))
	default:
		return s, true
	}
	return s, false
}

// enter begins the use of a session, until its Exit. Where the session has ended it
// answers, and reports false.
func (e *endpoint) enter(x exchange, s session.Session, via session.Transport, id jsonrpc.ID) bool {
	ok := s.Enter(e.route)
	if !ok {
		x.refuse(http.StatusNotFound, id, "the session has ended; "+anew[via])
	}
	return ok
}

// answerTo says what the stream of the HTTP answer to a POST is made of. A client
// that takes anything, as curl does, gets streams only where it has a session in
// which to answer what comes on them.
func (e *endpoint) answerTo(a accept, inSession bool) eventstream.Options {
	return eventstream.Options{Open: a.SSE || a.Wildcard && inSession, Eager: a.SSE, Bytes: e.route.QueueBytes()}
}

// write writes a stream to the HTTP answer, as [eventstream.Serve] does.
func (e *endpoint) write(x exchange, reader eventstream.Reader, atOnce bool, last func() []byte) {
	eventstream.Serve(x.r.Context(), x.w, reader, eventstream.Serving{
		AtOnce:   atOnce,
		Ending:   x.ending(),
		Expiry:   x.principal().ExpiresAt,
		Last:     last,
		Observer: observer{e, x},
	})
}

// observer counts an answer that becomes a stream, and says in the access log
// what ended it.
type observer struct {
	e *endpoint
	x exchange
}

// Begun implements eventstream.Observer.
func (o observer) Begun() (done func()) {
	counted, left := o.e.route.StreamBegun(), func() {}
	if conn := o.x.conn(); conn != nil {
		left = conn.Stream()
	}
	return func() { left(); counted() }
}

// Interrupted implements eventstream.Observer.
func (o observer) Interrupted(end eventstream.End) { o.x.interrupted(end) }
