package mcp

import (
	"net/http"
	"net/url"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/sse"
)

// sessionParam names the session in the URI that messages are posted to.
const sessionParam = "sessionId"

// openSSE opens a session of HTTP+SSE: its stream begins with the URI that
// messages are to be posted to (MCP 2024-11-05, Transports, HTTP with SSE).
func (h *Handler) openSSE(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		notAllowed(w, r, "GET")
		return
	}
	if a := parseAccept(r); !a.sse && !a.wildcard {
		refuse(w, r, http.StatusNotAcceptable, jsonrpc.CodeInvalidRequest, jsonrpc.ID{}, "the answer is text/event-stream")
		return
	}
	s, err := h.openLine(r, true)
	if err != nil {
		h.overloaded(w, r, jsonrpc.ID{}, err)
		return
	}
	defer s.exit()
	defer s.line.stream.end()
	conn := listeners.FromContext(r.Context())
	out := &output{w: w, rc: http.NewResponseController(w), stream: s.line.stream, begun: func() func() { return h.hub.streamBegun(h.route.Name, conn) }}
	defer out.close()
	at := url.URL{Path: h.cfg.SSE.Path + messageSuffix, RawQuery: sessionParam + "=" + s.id}
	events := sseLine{out}
	if out.begin() != nil || events.event("endpoint", []byte(at.String())) != nil {
		return
	}
	tick := time.NewTicker(keepalive)
	defer tick.Stop()
	expired, stop := filter.ExpiryTimer(filter.PrincipalFrom(r.Context()).ExpiresAt)
	defer stop()
	switch s.line.pump(conn, r.Context().Done(), expired, tick.C, events) {
	case farewellExpired:
		filter.RecordFrom(r.Context()).SetFlag(filter.FlagUnauthorized)
	case farewellDrained:
		filter.RecordFrom(r.Context()).SetFlag(filter.FlagDrained)
	case farewellGone:
		filter.RecordFrom(r.Context()).SetFlag(filter.FlagDownstreamConnectionTermination)
	}
}

// sseLine writes a line as events. They have no ids: there is no resuming in
// this transport.
type sseLine struct{ *output }

func (l sseLine) event(name string, data []byte) error {
	l.roll()
	return l.events.Event(sse.Event{Name: name, Data: data})
}

func (l sseLine) message(msg []byte) error { return l.event("message", msg) }

func (l sseLine) alive() error { return l.comment() }

// postSSE takes a message of such a session. It is answered on the stream.
func (h *Handler) postSSE(w http.ResponseWriter, r *http.Request) {
	var none jsonrpc.ID
	if r.Method != http.MethodPost {
		notAllowed(w, r, "POST")
		return
	}
	s := h.hub.find(r.URL.Query().Get(sessionParam))
	switch {
	case s == nil || s.line == nil || !s.line.posts || s.route != h.route.Name:
		refuse(w, r, http.StatusNotFound, jsonrpc.CodeInvalidRequest, none, "there is no such session; open a stream anew")
		return
	case s.principal != filter.PrincipalFrom(r.Context()).Key():
		filter.RecordFrom(r.Context()).SetFlag(filter.FlagUnauthorized)
		refuse(w, r, http.StatusForbidden, jsonrpc.CodeInvalidRequest, none, "the session belongs to another principal")
		return
	case refuseBody(w, r):
		return
	}
	lease := h.hub.opts.Memory.Lease(memory.Body)
	defer lease.Release() // a notification may wait for its server
	body, err := h.readMessage(w, r, &lease)
	if err != nil {
		h.unread(w, r, err)
		return
	}
	if !s.enter(h.route) {
		refuse(w, r, http.StatusNotFound, jsonrpc.CodeInvalidRequest, none, "the session has ended; open a stream anew")
		return
	}
	defer s.exit()
	src := source{ctx: r.Context(), record: filter.RecordFrom(r.Context()), header: h.upstreamHeader(r), run: func(f func()) { f() }}
	if err := s.handle(h.route, src, body); err != nil {
		refuse(w, r, http.StatusBadRequest, parseCode(err), none, err.Error())
		return
	}
	w.WriteHeader(http.StatusAccepted)
}
