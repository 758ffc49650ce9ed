package downstream

import (
	"net/http"
	"net/url"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/session"
)

// sessionParam names the session in the URI that messages are posted to.
const sessionParam = "sessionId"

// httpSSE serves HTTP+SSE (MCP 2024-11-05, Transports, HTTP with SSE).
type httpSSE struct {
	*endpoint
	messages string // the path that messages are posted to
}

// open opens a session: its stream begins with the URI that messages are to be
// posted to.
func (h httpSSE) open(x exchange) {
	if !x.allows(http.MethodGet) || !x.takesStream() {
		return
	}
	t, ok := h.openStream(x, session.HTTPSSE)
	if !ok {
		return
	}
	defer t.close()
	out := eventstream.NewWriter(x.w, t.s.Only(), observer{h.endpoint, x})
	defer out.Close()
	at := url.URL{Path: h.messages, RawQuery: sessionParam + "=" + t.s.ID()}
	if out.Begin() != nil || out.Event("endpoint", []byte(at.String())) != nil {
		return
	}
	tick := time.NewTicker(eventstream.Keepalive)
	defer tick.Stop()
	x.interrupted(t.pump(x, eventSink{out}, eventstream.Signals{Over: x.r.Context().Done(), Tick: tick.C}))
}

// eventSink writes messages as events. They have no ids: there is no resuming in
// this transport.
type eventSink struct{ *eventstream.Writer }

// Message implements eventstream.Sink.
func (s eventSink) Message(msg []byte) error { return s.Event("message", msg) }

// Alive implements eventstream.Sink.
func (s eventSink) Alive() error { return s.Comment() }

// post takes a message of such a session. It is answered on the stream.
func (h httpSSE) post(x exchange) {
	if !x.allows(http.MethodPost) {
		return
	}
	var none jsonrpc.ID
	s, ok := h.find(x, x.r.URL.Query().Get(sessionParam), session.HTTPSSE, none)
	if !ok {
		return
	}
	lease := h.route.Memory().Lease(memory.Body)
	defer lease.Release() // a notification may wait for its server
	body, ok := h.read(x, &lease)
	if !ok || !h.enter(x, s, session.HTTPSSE, none) {
		return
	}
	defer s.Exit()
	t := streamTransport{h.endpoint, s}
	if err := t.take(incoming{h.sender(x), x.r.Context(), atOnce}, body); err != nil {
		x.refuseParse(err)
		return
	}
	x.w.WriteHeader(http.StatusAccepted)
}
