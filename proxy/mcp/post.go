package mcp

import (
	"errors"
	"net/http"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/downstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

// post takes one message.
func (h *Handler) post(w http.ResponseWriter, r *http.Request) {
	var none jsonrpc.ID
	a := downstream.ParseAccept(r)
	if a.None() {
		downstream.Refuse(w, r, http.StatusNotAcceptable, jsonrpc.CodeInvalidRequest, none, "the answer is application/json or text/event-stream")
		return
	}
	if downstream.RefuseBody(w, r) {
		return
	}
	// The body is read whole before anything goes upstream: streaming it
	// through loses answers of servers that close it early.
	lease := h.hub.opts.Memory.Lease(memory.Body)
	defer lease.Release()
	body, err := h.readMessage(w, r, &lease)
	if err != nil {
		h.unread(w, r, err)
		return
	}
	m, err := jsonrpc.Parse(body)
	if err == nil && m.Kind() == jsonrpc.Request {
		lease.Release() // the call has one of its own
	}
	if errors.Is(err, jsonrpc.ErrBatch) && r.Header.Get(spec.HeaderSession) != "" {
		h.batch(w, r, body, a)
		return
	}
	if err != nil {
		downstream.Refuse(w, r, http.StatusBadRequest, parseCode(err), none, err.Error())
		return
	}
	h.note(r, m)
	if downstream.IsModern(r, m) {
		h.modern(w, r, m, a)
		return
	}
	switch ids := r.Header.Values(spec.HeaderSession); {
	case len(ids) > 1:
		downstream.Refuse(w, r, http.StatusBadRequest, jsonrpc.CodeInvalidRequest, m.ID(), "more than one "+spec.HeaderSession)
	case m.Kind() == jsonrpc.Request && m.Method() == spec.Initialize:
		h.initialize(w, r, m, a)
	case len(ids) == 0 || ids[0] == "":
		h.sessionless(w, r, m, a)
	default:
		h.inSession(w, r, m, a)
	}
}

// parseCode is the code that answers what is no message.
func parseCode(err error) int {
	var parse *jsonrpc.ParseError
	if errors.As(err, &parse) {
		return parse.Code
	}
	return jsonrpc.CodeParseError
}

// unread answers a request whose body did not come whole.
func (h *Handler) unread(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, memory.ErrExhausted) {
		h.overloaded(w, r, jsonrpc.ID{}, err)
		return
	}
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		downstream.Refuse(w, r, http.StatusRequestEntityTooLarge, jsonrpc.CodeInvalidRequest, jsonrpc.ID{}, "the message is longer than limits.message")
		return
	}
	filter.RequestInfoFrom(r.Context()).SetFlag(filter.FlagDownstreamConnectionTermination)
	downstream.Refuse(w, r, http.StatusBadRequest, jsonrpc.CodeParseError, jsonrpc.ID{}, "the message did not come whole")
}

// note records what the access log says about the message.
func (h *Handler) note(r *http.Request, m *jsonrpc.Message) {
	tool := ""
	if m.Method() == spec.ToolsCall {
		tool = m.Params().Get("name").String()
	}
	filter.RequestInfoFrom(r.Context()).SetMCP(m.Method(), tool)
}

// inSession takes a message of a session.
func (h *Handler) inSession(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message, a downstream.Accept) {
	s := h.session(w, r, m.ID())
	if s == nil {
		return
	}
	defer s.life.exit()
	switch m.Kind() {
	case jsonrpc.Request:
		h.request(w, r, s, m, a)
	case jsonrpc.Notification:
		s.notification(upstream.WithHeader(r.Context(), h.upstreamHeader(r)), h.route, m)
		w.WriteHeader(http.StatusAccepted)
	case jsonrpc.Response:
		s.questions.answer(m)
		w.WriteHeader(http.StatusAccepted)
	}
}

// request runs a call and answers it. The call outlives the HTTP request: a
// disconnect is no cancellation.
func (h *Handler) request(w http.ResponseWriter, r *http.Request, s *session, m *jsonrpc.Message, a downstream.Accept) {
	c := h.newCall(r, s, m)
	c.answerOn(s.newStream(s.resumable(h.answerTo(s, a))))
	reader := c.stream.Reader()
	if err := s.launch(c); err != nil {
		h.decline(w, r, s, m.ID(), err)
		return
	}
	h.serve(w, r, reader, !a.JSON, c.interrupted)
	s.outlets.rescue(reader)
}

func (h *Handler) newCall(r *http.Request, s *session, m *jsonrpc.Message) *call {
	return s.newCall(h.route, m, filter.RequestInfoFrom(r.Context()), h.upstreamHeader(r))
}

// answerTo says what the stream of the HTTP answer to a POST is made of.
func (h *Handler) answerTo(s *session, a downstream.Accept) eventstream.Options {
	// A client that takes anything, as curl does, gets streams only where it
	// has a session in which to answer what comes on them.
	return eventstream.Options{Open: a.SSE || a.Wildcard && !s.sessionless, Eager: a.SSE, Bytes: h.queueBytes()}
}

// interrupted is the answer of a call whose connection must end before the
// server has answered.
func (c *call) interrupted() []byte { return interruption(c.msg.ID()) }

func interruption(id jsonrpc.ID) []byte {
	return internal(http.StatusOK, filter.FlagDownstreamConnectionTermination, "the connection had to end before the server answered").body(id)
}

// decline answers a request that did not become a call.
func (h *Handler) decline(w http.ResponseWriter, r *http.Request, s *session, id jsonrpc.ID, err error) {
	if s.modern() {
		reject(w, r, id, err)
		return
	}
	f := failed(err)
	info := filter.RequestInfoFrom(r.Context())
	info.SetFlag(f.flag)
	info.SetReason(err.Error())
	status := http.StatusOK
	switch {
	case errors.Is(err, errEnded):
		status = http.StatusNotFound
	case errors.Is(err, memory.ErrExhausted):
		status = f.answer.Status
	}
	downstream.WriteJSON(w, status, f.body(id))
}

// sessionless takes a message of a client without a session: single calls,
// as curl makes them.
func (h *Handler) sessionless(w http.ResponseWriter, r *http.Request, m *jsonrpc.Message, a downstream.Accept) {
	version := r.Header.Get(spec.HeaderVersion)
	switch {
	case version != "" && !spec.IsLegacy(version):
		h.refuseVersion(w, r, m, version)
		return
	case m.Kind() == jsonrpc.Response, spec.Request(m.Method()).NeedsSession:
		downstream.Refuse(w, r, http.StatusBadRequest, jsonrpc.CodeInvalidRequest, m.ID(), spec.HeaderSession+" is missing: this needs a session")
		return
	case m.Kind() == jsonrpc.Notification:
		w.WriteHeader(http.StatusAccepted)
		return
	}
	if version == "" {
		version = spec.Assumed
	}
	s, err := h.hub.borrow(h.route, filter.PrincipalFrom(r.Context()), clientInit{params: h.hub.selfInit(version), version: version})
	if err != nil {
		h.overloaded(w, r, m.ID(), err)
		return
	}
	h.once(w, r, s, m, a)
}
