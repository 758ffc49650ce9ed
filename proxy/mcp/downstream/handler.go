package downstream

import (
	"net/http"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/session"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// MessageSuffix follows the path of HTTP+SSE where messages are posted to.
const MessageSuffix = "/message"

// Settings are what a generation says to the transports of a route.
type Settings struct {
	// Route has the sessions.
	Route *session.Route
	// Hosts are the patterns of the hosts that are served, and Origins the origins
	// that browsers may call from. For none of either there is a default that lets
	// no foreign page in.
	Hosts, Origins []string
	// Forward names the client's headers that go upstream, besides those of the
	// specification.
	Forward []string
	// SSE and WebSocket are the paths of these transports; "": there is none.
	SSE, WebSocket string
}

// Handler serves one route of one generation over HTTP. Its methods may be called
// from any goroutine.
type Handler struct {
	guard      *guard
	streamable streamable
	// others serve the other transports of the route, by their paths.
	others map[string]func(exchange)
}

// New returns the handler of a route. It fails where a host or an origin is none.
func New(s Settings) (*Handler, error) {
	forward := spec.TraceHeaders()
	for _, name := range s.Forward {
		forward = append(forward, http.CanonicalHeaderKey(name))
	}
	guard, err := newGuard(s.Hosts, s.Origins, forward)
	if err != nil {
		return nil, err
	}
	e := &endpoint{route: s.Route, forward: forward}
	h := &Handler{guard: guard, streamable: streamable{e, stateless{e}}, others: map[string]func(exchange){}}
	if s.SSE != "" {
		sse := httpSSE{e, s.SSE + MessageSuffix}
		h.others[s.SSE], h.others[sse.messages] = sse.open, sse.post
	}
	if s.WebSocket != "" {
		h.others[s.WebSocket] = webSocket{e}.open
	}
	return h, nil
}

// Route returns the route that the handler serves.
func (h *Handler) Route() *session.Route { return h.streamable.route }

// Guard serves by next, which authenticates, what may come here at all.
func (h *Handler) Guard(next http.Handler) http.Handler { return h.guard.wrap(next) }

// ServeHTTP serves MCP's Streamable HTTP, and the other transports of the route on
// paths of their own, to clients that Guard has let in.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchange{w, r}
	if serve, ok := h.others[r.URL.Path]; ok {
		serve(x)
		return
	}
	h.streamable.serve(x)
}
