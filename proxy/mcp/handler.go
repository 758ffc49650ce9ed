package mcp

import (
	"fmt"
	"net/http"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/downstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
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
	hub     *Hub
	route   *Route
	cfg     *Config
	guard   *downstream.Guard
	forward []string // canonical names of headers that may go upstream
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
	route, err := h.newRoute(Settings{
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
	return &Handler{hub: h, route: route, cfg: cfg.Config, guard: guard, forward: forward}, nil
}

// Guard serves by next, which authenticates, what may come here at all.
func (h *Handler) Guard(next http.Handler) http.Handler { return h.guard.Wrap(next) }

// ServeHTTP serves MCP's Streamable HTTP (revisions 2025-03-26 to 2025-11-25),
// and the other transports of the route on paths of their own, to clients that
// Guard has let in.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case h.cfg.SSE.Path != "" && path == h.cfg.SSE.Path:
		h.openSSE(w, r)
		return
	case h.cfg.SSE.Path != "" && path == h.cfg.SSE.Path+messageSuffix:
		h.postSSE(w, r)
		return
	case h.cfg.WebSocket.Path != "" && path == h.cfg.WebSocket.Path:
		h.openWebSocket(w, r)
		return
	}
	switch r.Method {
	case http.MethodPost:
		h.post(w, r)
	case http.MethodGet:
		h.get(w, r)
	case http.MethodDelete:
		h.delete(w, r)
	default:
		h.notAllowed(w, r)
	}
}

func (h *Handler) notAllowed(w http.ResponseWriter, r *http.Request) {
	downstream.NotAllowed(w, r, "GET, POST, DELETE")
}

// session finds the session that the request names, and enters it. Where
// there is none that this client may use it answers, and returns nil.
func (h *Handler) session(w http.ResponseWriter, r *http.Request, id jsonrpc.ID) *session {
	s := h.hub.find(r.Header.Get(spec.HeaderSession))
	switch {
	case s == nil || s.route != h.route.Name || s.line != nil:
		downstream.Refuse(w, r, http.StatusNotFound, jsonrpc.CodeInvalidRequest, id, "there is no such session; initialize anew")
		return nil
	case s.principal != filter.PrincipalFrom(r.Context()).Key():
		filter.RequestInfoFrom(r.Context()).SetFlag(filter.FlagUnauthorized)
		downstream.Refuse(w, r, http.StatusForbidden, jsonrpc.CodeInvalidRequest, id, "the session belongs to another principal")
		return nil
	}
	if v := r.Header.Get(spec.HeaderVersion); v != "" && v != s.version && !spec.IsLegacy(v) {
		reject(w, r, id, spec.UnsupportedVersion(h.route.offered().Versions, v))
		return nil
	}
	if !s.life.enter(h.route) {
		downstream.Refuse(w, r, http.StatusNotFound, jsonrpc.CodeInvalidRequest, id, "the session has ended; initialize anew")
		return nil
	}
	return s
}

// get opens a stream for what belongs to no call.
func (h *Handler) get(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get(spec.HeaderSession) == "" {
		h.notAllowed(w, r)
		return
	}
	if a := downstream.ParseAccept(r); !a.Streams() {
		downstream.Refuse(w, r, http.StatusNotAcceptable, jsonrpc.CodeInvalidRequest, jsonrpc.ID{}, "the answer is text/event-stream")
		return
	}
	s := h.session(w, r, jsonrpc.ID{})
	if s == nil {
		return
	}
	defer s.life.exit()
	w.Header().Set(spec.HeaderSession, s.id)
	if id := r.Header.Get(spec.HeaderLastEventID); id != "" {
		h.resume(w, r, s, id)
		return
	}
	if err := h.hub.opts.Memory.Charge(memory.Stream, streamCost); err != nil {
		h.overloaded(w, r, jsonrpc.ID{}, err)
		return
	}
	defer h.hub.opts.Memory.Return(memory.Stream, streamCost)
	st := s.newStream(s.resumable(eventstream.Options{Kind: eventstream.Standing, Open: true, Eager: true, Bytes: h.queueBytes()}))
	reader := st.Reader()
	if !s.listen(st, h.route.Limits.Streams) {
		filter.RequestInfoFrom(r.Context()).SetFlag(filter.FlagOverload)
		downstream.Refuse(w, r, http.StatusTooManyRequests, jsonrpc.CodeInvalidRequest, jsonrpc.ID{}, "too many streams of this session")
		return
	}
	defer s.outlets.unlisten(reader)
	h.serve(w, r, reader, true, nil)
}

// queueBytes bounds what waits for a slow reader: a few of the longest
// messages.
func (h *Handler) queueBytes() int { return 4 * int(h.route.Limits.Message) }

// delete ends a session.
func (h *Handler) delete(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get(spec.HeaderSession) == "" {
		downstream.Refuse(w, r, http.StatusBadRequest, jsonrpc.CodeInvalidRequest, jsonrpc.ID{}, spec.HeaderSession+" is missing")
		return
	}
	s := h.session(w, r, jsonrpc.ID{})
	if s == nil {
		return
	}
	defer s.life.exit()
	s.end("deleted", errEnded)
	w.WriteHeader(http.StatusNoContent)
}

// upstreamHeader returns what of the client's headers goes upstream.
func (h *Handler) upstreamHeader(r *http.Request) http.Header {
	return downstream.Forward(r, h.forward)
}
