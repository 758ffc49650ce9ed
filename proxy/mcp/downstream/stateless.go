package downstream

import (
	"context"
	"net/http"

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

// subscribe serves subscriptions/listen, until the client goes or the route, the
// connection or the process ends.
func (h stateless) subscribe(x exchange, m *jsonrpc.Message) {
	sub, err := h.sender(x).Subscribe(x.r.Context(), m)
	if err != nil {
		x.reject(m.ID(), err)
		return
	}
	defer sub.Close()
	h.write(x, sub.Reader(), true, sub.Interrupted)
}

// single serves one request of the revision without sessions: a call of its own, or
// what a suspended one waits for.
func (h stateless) single(x exchange, m *jsonrpc.Message, a accept) {
	from := h.sender(x)
	k, err := from.Suspended(m)
	switch {
	case err != nil:
		x.reject(m.ID(), err)
	case k == nil:
		h.once(x, from, m, a, session.StatelessInit(m), exchange.reject)
	case k.Resume(x.r.Context(), from, m):
		h.attend(x, k, a)
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
	h.once(x, h.sender(x), m, a, h.route.OwnInit(version), exchange.fail)
}

// once runs the only call of a borrowed session. refuse answers where there is no
// such.
func (h stateless) once(x exchange, from session.Sender, m *jsonrpc.Message, a accept, init session.ClientInit, refuse func(exchange, jsonrpc.ID, error)) {
	s, err := from.Borrow(init)
	if err != nil {
		refuse(x, m.ID(), err)
		return
	}
	k, err := s.LaunchOnly(from, m, s.NewStream(h.answerTo(a, false)))
	if err != nil {
		refuse(x, m.ID(), err)
		return
	}
	h.attend(x, k, a)
}

// attend writes what the call has to say, until it is through or asks for
// input.
func (h stateless) attend(x exchange, k *session.Suspended, a accept) {
	stop := context.AfterFunc(x.r.Context(), k.Abandon)
	h.write(x, k.Reader(), !a.JSON, k.Interrupted)
	stop()
	k.Leave()
}
