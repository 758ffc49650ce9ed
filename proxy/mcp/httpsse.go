package mcp

import (
	"net/http"
	"net/url"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/downstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// sessionParam names the session in the URI that messages are posted to.
const sessionParam = "sessionId"

// openSSE opens a session of HTTP+SSE: its stream begins with the URI that
// messages are to be posted to (MCP 2024-11-05, Transports, HTTP with SSE).
func (h *Handler) openSSE(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		downstream.NotAllowed(w, r, "GET")
		return
	}
	if a := downstream.ParseAccept(r); !a.Streams() {
		downstream.Refuse(w, r, http.StatusNotAcceptable, jsonrpc.CodeInvalidRequest, jsonrpc.ID{}, "the answer is text/event-stream")
		return
	}
	s, err := h.openLine(r, true)
	if err != nil {
		h.overloaded(w, r, jsonrpc.ID{}, err)
		return
	}
	defer s.life.exit()
	defer s.line.stream.End()
	observer := h.observe(r)
	out := eventstream.NewWriter(w, s.line.stream, observer)
	defer out.Close()
	at := url.URL{Path: h.cfg.SSE.Path + messageSuffix, RawQuery: sessionParam + "=" + s.id}
	if out.Begin() != nil || out.Event("endpoint", []byte(at.String())) != nil {
		return
	}
	tick := time.NewTicker(eventstream.Keepalive)
	defer tick.Stop()
	expired, stop := filter.ExpiryTimer(filter.PrincipalFrom(r.Context()).ExpiresAt)
	defer stop()
	signals := eventstream.Signals{Ending: ending(r), Over: r.Context().Done(), Expired: expired, Tick: tick.C}
	observer.Interrupted(eventstream.Pump(s.line.stream, sseLine{out}, signals))
}

// sseLine writes a line as events. They have no ids: there is no resuming in
// this transport.
type sseLine struct{ *eventstream.Writer }

// Message implements eventstream.Sink.
func (l sseLine) Message(msg []byte) error { return l.Event("message", msg) }

// Alive implements eventstream.Sink.
func (l sseLine) Alive() error { return l.Comment() }

// postSSE takes a message of such a session. It is answered on the stream.
func (h *Handler) postSSE(w http.ResponseWriter, r *http.Request) {
	var none jsonrpc.ID
	if r.Method != http.MethodPost {
		downstream.NotAllowed(w, r, "POST")
		return
	}
	s := h.hub.find(r.URL.Query().Get(sessionParam))
	switch {
	case s == nil || s.line == nil || !s.line.posts || s.route != h.route.Name:
		downstream.Refuse(w, r, http.StatusNotFound, jsonrpc.CodeInvalidRequest, none, "there is no such session; open a stream anew")
		return
	case s.principal != filter.PrincipalFrom(r.Context()).Key():
		filter.RequestInfoFrom(r.Context()).SetFlag(filter.FlagUnauthorized)
		downstream.Refuse(w, r, http.StatusForbidden, jsonrpc.CodeInvalidRequest, none, "the session belongs to another principal")
		return
	case downstream.RefuseBody(w, r):
		return
	}
	lease := h.hub.opts.Memory.Lease(memory.Body)
	defer lease.Release() // a notification may wait for its server
	body, err := h.readMessage(w, r, &lease)
	if err != nil {
		h.unread(w, r, err)
		return
	}
	if !s.life.enter(h.route) {
		downstream.Refuse(w, r, http.StatusNotFound, jsonrpc.CodeInvalidRequest, none, "the session has ended; open a stream anew")
		return
	}
	defer s.life.exit()
	src := source{ctx: r.Context(), info: filter.RequestInfoFrom(r.Context()), header: h.upstreamHeader(r), run: func(f func()) { f() }}
	if err := s.line.handle(h.route, src, body); err != nil {
		downstream.Refuse(w, r, http.StatusBadRequest, parseCode(err), none, err.Error())
		return
	}
	w.WriteHeader(http.StatusAccepted)
}
