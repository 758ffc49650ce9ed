package mcp

import (
	"net/http"

	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/downstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// modern serves a message of the revision without sessions: each request says
// itself who asks, and a session that is borrowed for it holds what the
// servers' connections need (MCP 2026-07-28, Streamable HTTP).
func (h *Handler) modern(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message, a downstream.Accept) {
	switch m.Kind() {
	case jsonrpc.Notification:
		w.WriteHeader(http.StatusAccepted) // the revision defines none over HTTP
		return
	case jsonrpc.Response:
		downstream.Refuse(w, r, http.StatusBadRequest, jsonrpc.CodeInvalidRequest, jsonrpc.ID{}, "this revision has no requests that a client could answer")
		return
	}
	if f := downstream.CheckHeaders(r.Header, m); f != nil {
		if f.Code == jsonrpc.CodeUnsupportedVersion {
			h.refuseVersion(w, r, m, r.Header.Get(spec.HeaderVersion))
			return
		}
		reject(w, r, m.ID(), f)
		return
	}
	switch method := spec.Request(m.Method()); {
	case method.OnlyWithSession():
		reject(w, r, m.ID(), spec.MethodNotFound(m.Method()))
	case method.Name == spec.SubscriptionsListen:
		h.subscribe(w, r, m)
	default:
		h.single(w, r, m, a)
	}
}

// single serves one request of a client without a session.
func (h *Handler) single(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message, a downstream.Accept) {
	principal := filter.PrincipalFrom(r.Context())
	state, _, err := h.hub.openState(h.route.Name, principal.Key(), m)
	if err != nil {
		reject(w, r, m.ID(), err)
		return
	}
	if state.Held != "" {
		h.proceed(w, r, m, a, state.Held)
		return
	}
	s, err := h.hub.borrow(h.route, principal, modernInit(m))
	if err != nil {
		h.overloaded(w, r, m.ID(), err)
		return
	}
	h.once(w, r, s, m, a)
}

// once runs the only call of a borrowed session, and gives the session back.
func (h *Handler) once(w http.ResponseWriter, r *http.Request, s *session, m *jsonrpc.Message, a downstream.Accept) {
	c := h.newCall(r, s, m)
	c.answerOn(s.newStream(h.answerTo(s, a)))
	if err := s.begin(c); err != nil {
		h.hub.giveBack(s)
		h.decline(w, r, s, m.ID(), err)
		return
	}
	done := make(chan struct{})
	c.suspended = &suspended{c: c, principal: s.principal, msg: m, done: done}
	started := s.life.spawn(func() {
		defer close(done)
		defer h.hub.giveBack(s)
		defer s.finish(c)
		c.run()
	})
	if !started {
		c.stop()
		s.finish(c)
		h.decline(w, r, s, m.ID(), errEnded)
		return
	}
	h.attend(w, r, c.suspended, a)
}

// modernInit makes of a request's _meta what a session begins with.
func modernInit(m *jsonrpc.Message) clientInit {
	meta := m.Params().Get("_meta")
	b := jsonrpc.AppendString([]byte(`{"protocolVersion":`), spec.NewestLegacy)
	b = append(b, `,"capabilities":`...)
	if caps := meta.Get(jsonrpc.MetaCapabilities); caps.Exists() {
		b = append(b, caps.Raw()...)
	} else {
		b = append(b, "{}"...)
	}
	b = append(b, `,"clientInfo":`...)
	if who := meta.Get(jsonrpc.MetaClientInfo); who.Kind() == jsonrpc.Object {
		b = append(b, who.Raw()...)
	} else {
		b = append(b, `{"name":"unknown","version":"unknown"}`...)
	}
	return clientInit{params: append(b, '}'), version: spec.Modern, level: meta.Get(jsonrpc.MetaLogLevel).String()}
}

// reject answers a modern request that is not served.
func reject(w http.ResponseWriter, r *http.Request, id jsonrpc.ID, err error) {
	f := failed(err)
	info := filter.RequestInfoFrom(r.Context())
	if f.flag != "" {
		info.SetFlag(f.flag)
	}
	info.SetReason(f.Error())
	downstream.WriteJSON(w, f.answer.StatelessStatus(), f.body(id))
}
