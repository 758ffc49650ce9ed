package mcp

import (
	"fmt"
	"net/http"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/downstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/session"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// HandlerConfig is what one generation says about one route.
type HandlerConfig struct {
	// Route is the route's name: sessions are bound to it.
	Route string
	// Config is the route's block mcp. It must not be changed.
	Config *Config
	// Hosts are the route's match.hosts, the default of allowed_hosts.
	Hosts []string
	// Clusters are the generation's.
	Clusters *clusters.Set
}

// Handler serves one route of one generation over HTTP.
type Handler struct {
	cfg        *Config
	guard      *downstream.Guard
	route      *session.Route
	streamable streamable
	// others serve the other transports of the route, by their paths.
	others map[string]func(exchange)
}

// NewHandler prepares a route of a new generation. It touches no session:
// Commit puts the handler in force. It fails when the configuration names a
// cluster that the generation does not have.
func (h *Hub) NewHandler(cfg HandlerConfig) (*Handler, error) {
	hosts := cfg.Config.AllowedHosts
	if len(hosts) == 0 {
		hosts = cfg.Hosts
	}
	forward := spec.TraceHeaders()
	for _, name := range cfg.Config.ForwardHeaders {
		forward = append(forward, http.CanonicalHeaderKey(name))
	}
	guard, err := downstream.NewGuard(hosts, cfg.Config.AllowedOrigins, forward)
	if err != nil {
		return nil, fmt.Errorf("route %s: %w", cfg.Route, err)
	}
	route, err := h.NewRoute(session.Settings{
		Name:      cfg.Route,
		Members:   cfg.Config.Clusters,
		Namespace: cfg.Config.Namespace,
		Versions:  cfg.Config.Versions,
		Timeouts:  cfg.Config.Timeouts,
		Limits:    cfg.Config.Limits,
		Resume:    cfg.Config.Resume,
		Clusters:  cfg.Clusters,
	})
	if err != nil {
		return nil, err
	}
	e := &endpoint{route: route, memory: h.memory, forward: forward}
	handler := &Handler{cfg: cfg.Config, guard: guard, route: route, streamable: streamable{e, stateless{e}}, others: map[string]func(exchange){}}
	if path := cfg.Config.SSE.Path; path != "" {
		sse := httpSSE{e, path + messageSuffix}
		handler.others[path], handler.others[sse.messages] = sse.open, sse.post
	}
	if path := cfg.Config.WebSocket.Path; path != "" {
		handler.others[path] = webSocket{e}.open
	}
	return handler, nil
}

// Guard serves by next, which authenticates, what may come here at all.
func (h *Handler) Guard(next http.Handler) http.Handler { return h.guard.Wrap(next) }

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
