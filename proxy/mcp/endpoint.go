package mcp

import (
	"errors"
	"net/http"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/downstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/session"
)

// endpoint is what all transports of a route are made of.
type endpoint struct {
	route   *session.Route
	memory  *memory.Budget // to which clients' messages are charged
	forward []string       // canonical names of headers that may go upstream
}

// sender is who sends the message of an exchange.
func (e *endpoint) sender(x exchange) session.Sender {
	return session.Sender{Route: e.route, Principal: x.principal(), Info: x.info(), Header: downstream.Forward(x.r, e.forward)}
}

// anew says how clients of a transport that names sessions come to another one.
var anew = [...]string{session.Streamable: "initialize anew", session.HTTPSSE: "open a stream anew"}

// session returns the session that a request names. Where there is none that this
// client may use it answers, and reports false.
func (e *endpoint) session(x exchange, name string, via session.Transport, id jsonrpc.ID) (session.Session, bool) {
	s, ok := e.route.Find(name, via)
	switch {
	case !ok:
		x.refuse(http.StatusNotFound, id, "there is no such session; "+anew[via])
	case !s.BelongsTo(x.principal()):
		x.info().SetFlag(filter.FlagUnauthorized)
		x.refuse(http.StatusForbidden, id, "the session belongs to another principal")
		return s, false
	}
	return s, ok
}

// enter begins the use of a session, until its Exit. Where it has ended enter
// answers, and reports false.
func (e *endpoint) enter(x exchange, s session.Session, via session.Transport, id jsonrpc.ID) bool {
	ok := s.Enter(e.route)
	if !ok {
		x.refuse(http.StatusNotFound, id, "the session has ended; "+anew[via])
	}
	return ok
}

// read reads the message of a POST whole: streaming it through loses answers of
// servers that close it early. The lease grows by what it takes while it is read.
// Where it does not come whole read answers, and reports false.
func (e *endpoint) read(x exchange, lease *memory.Lease) ([]byte, bool) {
	if downstream.RefuseBody(x.w, x.r) {
		return nil, false
	}
	var none jsonrpc.ID
	body, err := lease.ReadAll(http.MaxBytesReader(x.w, x.r.Body, int64(e.route.Limits.Message)), x.r.ContentLength)
	switch {
	case err == nil:
		return body, true
	case errors.Is(err, memory.ErrExhausted):
		x.fail(none, err)
	case errors.As(err, new(*http.MaxBytesError)):
		x.refuse(http.StatusRequestEntityTooLarge, none, "the message is longer than limits.message")
	default:
		x.info().SetFlag(filter.FlagDownstreamConnectionTermination)
		downstream.Refuse(x.w, x.r, http.StatusBadRequest, jsonrpc.CodeParseError, none, "the message did not come whole")
	}
	return nil, false
}

// refuseParse answers what is no message, or no batch.
func refuseParse(x exchange, err error) {
	downstream.Refuse(x.w, x.r, http.StatusBadRequest, parseCode(err), jsonrpc.ID{}, err.Error())
}

// parseCode is the code that answers what is no message.
func parseCode(err error) int {
	var parse *jsonrpc.ParseError
	if errors.As(err, &parse) {
		return parse.Code
	}
	return jsonrpc.CodeParseError
}

// answerTo says what the stream of the HTTP answer to a POST is made of. A client
// that takes anything, as curl does, gets streams only where it has a session in
// which to answer what comes on them.
func (e *endpoint) answerTo(a downstream.Accept, inSession bool) eventstream.Options {
	return eventstream.Options{Open: a.SSE || a.Wildcard && inSession, Eager: a.SSE, Bytes: e.route.QueueBytes()}
}

// write writes a stream to the HTTP answer, as [eventstream.Serve] does.
func (e *endpoint) write(x exchange, reader eventstream.Reader, atOnce bool, last func() []byte) {
	eventstream.Serve(x.r.Context(), x.w, reader, eventstream.Serving{
		AtOnce:    atOnce,
		Ending:    x.ending(),
		Expiry:    x.principal().ExpiresAt,
		Last:      last,
		WriteJSON: downstream.WriteJSON,
		Observer:  observer{e, x},
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
