package downstream

import (
	"errors"
	"net/http"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/session"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// streamCost is what the stream of a GET takes besides its connection, in bytes.
const streamCost = 16 << 10

// streamable serves Streamable HTTP to clients with sessions (revisions 2025-03-26
// to 2025-11-25). stateless serves those without.
type streamable struct {
	*endpoint
	stateless stateless
}

func (h streamable) serve(x exchange) {
	switch method, named := x.r.Method, x.r.Header.Get(spec.HeaderSession) != ""; {
	case method == http.MethodPost:
		h.post(x)
	case method == http.MethodGet && named:
		h.get(x)
	case method == http.MethodDelete && named:
		h.delete(x)
	case method == http.MethodDelete:
		x.refuse(http.StatusBadRequest, jsonrpc.ID{}, spec.HeaderSession+" is missing")
	default:
		x.notAllowed("GET, POST, DELETE")
	}
}

// enter begins the use of the session that the request names.
func (h streamable) enter(x exchange, id jsonrpc.ID) (session.Session, bool) {
	s, ok := h.find(x, x.r.Header.Get(spec.HeaderSession), session.Streamable, id)
	return s, ok && h.endpoint.enter(x, s, session.Streamable, id)
}

// post takes one message, or a batch.
func (h streamable) post(x exchange) {
	a := parseAccept(x.r)
	if a.none() {
		x.refuse(http.StatusNotAcceptable, jsonrpc.ID{}, "the answer is application/json or text/event-stream")
		return
	}
	lease := h.route.Memory().Lease(memory.Body)
	defer lease.Release()
	body, ok := h.read(x, &lease)
	if !ok {
		return
	}
	m, err := jsonrpc.Parse(body)
	if err == nil && m.Kind() == jsonrpc.Request {
		lease.Release() // the call has one of its own
	}
	ids := x.r.Header.Values(spec.HeaderSession)
	named := len(ids) > 0 && ids[0] != ""
	if errors.Is(err, jsonrpc.ErrBatch) && named {
		h.batch(x, body, a)
		return
	}
	if err != nil {
		x.refuseParse(err)
		return
	}
	tool := ""
	if m.Method() == spec.ToolsCall {
		tool = m.Params().Get("name").String()
	}
	x.info().SetMCP(m.Method(), tool)
	switch {
	case isModern(x.r, m):
		h.stateless.serve(x, m, a)
	case len(ids) > 1:
		x.refuse(http.StatusBadRequest, m.ID(), "more than one "+spec.HeaderSession)
	case m.Kind() == jsonrpc.Request && m.Method() == spec.Initialize:
		h.initialize(x, m, a)
	case named:
		h.message(x, m, a)
	default:
		h.stateless.legacy(x, m, a)
	}
}

// initialize begins a session.
func (h streamable) initialize(x exchange, m *jsonrpc.Message, a accept) {
	err := h.sender(x).Initialize(x.r.Context(), m, h.answerTo(a, true), func(id string, r eventstream.Reader) {
		x.w.Header().Set(spec.HeaderSession, id)
		h.write(x, r, !a.JSON, nil)
	})
	if err != nil {
		x.fail(m.ID(), err)
	}
}

// message takes a message of a session. A call outlives the HTTP request: a
// disconnect is no cancellation.
func (h streamable) message(x exchange, m *jsonrpc.Message, a accept) {
	s, ok := h.enter(x, m.ID())
	if !ok {
		return
	}
	defer s.Exit()
	if m.Kind() != jsonrpc.Request {
		s.Inform(x.r.Context(), h.sender(x), m, atOnce)
		x.w.WriteHeader(http.StatusAccepted)
		return
	}
	st := s.NewResumable(h.answerTo(a, true))
	reader := st.Reader()
	switch err := s.Launch(h.sender(x), m, st); {
	case errors.Is(err, session.ErrPending):
		f := session.Note(x.info(), err)
		eventstream.WriteJSON(x.w, http.StatusOK, f.Body(m.ID())) // the session is well
	case err != nil:
		x.fail(m.ID(), err)
	default:
		h.write(x, reader, !a.JSON, func() []byte { return session.Interruption(m.ID()) })
		s.Leave(reader)
	}
}

// atOnce runs what takes a message of a POST, which its client waits for.
func atOnce(f func()) { f() }

// get opens a stream for what belongs to no call, or resumes one.
func (h streamable) get(x exchange) {
	var none jsonrpc.ID
	if !x.takesStream() {
		return
	}
	s, ok := h.enter(x, none)
	if !ok {
		return
	}
	defer s.Exit()
	x.w.Header().Set(spec.HeaderSession, s.ID())
	var reader eventstream.Reader
	var err error
	if id := x.r.Header.Get(spec.HeaderLastEventID); id != "" {
		reader, err = s.Resume(id, h.route.Limits.Streams)
	} else if err = h.route.Memory().Charge(memory.Stream, streamCost); err == nil {
		defer h.route.Memory().Return(memory.Stream, streamCost)
		st := s.NewResumable(eventstream.Options{Kind: eventstream.Standing, Open: true, Eager: true, Bytes: h.route.QueueBytes()})
		reader, err = st.Reader(), s.Listen(st, h.route.Limits.Streams)
	}
	if err != nil {
		x.fail(none, err)
		return
	}
	defer s.Leave(reader)
	h.write(x, reader, true, nil)
}

// delete ends a session.
func (h streamable) delete(x exchange) {
	s, ok := h.enter(x, jsonrpc.ID{})
	if !ok {
		return
	}
	defer s.Exit()
	s.Delete()
	x.w.WriteHeader(http.StatusNoContent)
}
