package downstream

import (
	"net/http"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/session"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// stateless serves Streamable HTTP to clients without a session: of the revision
// that has none, and single calls of the others, as curl makes them. A session that
// is borrowed for each request holds what the servers' connections need.
type stateless struct{ *endpoint }

// serve serves a message of the revision without sessions: each request says itself
// who asks (MCP 2026-07-28, Streamable HTTP).
func (h stateless) serve(x exchange, m *jsonrpc.Message, a accept) {
	switch m.Kind() {
	case jsonrpc.Notification:
		x.w.WriteHeader(http.StatusAccepted) // the revision defines none over HTTP
		return
	case jsonrpc.Response:
		x.refuse(http.StatusBadRequest, jsonrpc.ID{}, "this revision has no requests that a client could answer")
		return
	}
	if f := checkHeaders(x.r.Header, m); f != nil {
		if f.Code == jsonrpc.CodeUnsupportedVersion {
			h.refuseVersion(x, m)
			return
		}
		x.reject(m.ID(), f)
		return
	}
	switch method := spec.Request(m.Method()); {
	case method.OnlyWithSession():
		x.reject(m.ID(), spec.MethodNotFound(m.Method()))
	case method.Name == spec.SubscriptionsListen:
		h.subscribe(x, m)
	default:
		h.single(x, m, a)
	}
}

// refuseVersion refuses a message of a revision that is not spoken, and names
// those that the route offers.
func (h stateless) refuseVersion(x exchange, m *jsonrpc.Message) {
	offered := h.sender(x).Offered(x.r.Context(), m)
	x.reject(m.ID(), spec.UnsupportedVersion(offered.Versions, x.r.Header.Get(spec.HeaderVersion)))
}

// subscribe serves subscriptions/listen.
func (h stateless) subscribe(x exchange, m *jsonrpc.Message) {
	write := func(r eventstream.Reader, last func() []byte) { h.write(x, r, true, last) }
	if err := h.sender(x).Subscribe(x.r.Context(), m, write); err != nil {
		x.reject(m.ID(), err)
	}
}

// single serves one request of the revision without sessions: what a suspended call
// waits for, or a call of its own.
func (h stateless) single(x exchange, m *jsonrpc.Message, a accept) {
	from, write := h.sender(x), func(r eventstream.Reader, last func() []byte) { h.write(x, r, !a.JSON, last) }
	taken, err := from.TakeUp(x.r.Context(), m, write)
	if err == nil && !taken {
		err = from.Call(x.r.Context(), session.StatelessInit(m), m, h.answerTo(a, false), write)
	}
	if err != nil {
		x.reject(m.ID(), err)
	}
}

// legacy serves a message of another revision that names no session.
func (h stateless) legacy(x exchange, m *jsonrpc.Message, a accept) {
	version := x.r.Header.Get(spec.HeaderVersion)
	switch {
	case version != "" && !spec.IsLegacy(version):
		h.refuseVersion(x, m)
		return
	case m.Kind() == jsonrpc.Response, spec.Request(m.Method()).NeedsSession:
		x.refuse(http.StatusBadRequest, m.ID(), spec.HeaderSession+" is missing: this needs a session")
		return
	case m.Kind() == jsonrpc.Notification:
		x.w.WriteHeader(http.StatusAccepted)
		return
	}
	if version == "" {
		version = spec.Assumed
	}
	write := func(r eventstream.Reader, last func() []byte) { h.write(x, r, !a.JSON, last) }
	if err := h.sender(x).Call(x.r.Context(), h.route.OwnInit(version), m, h.answerTo(a, false), write); err != nil {
		x.fail(m.ID(), err)
	}
}
