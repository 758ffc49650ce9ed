package mcp

import (
	"fmt"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/downstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/session"
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
type Handler = downstream.Handler

// NewHandler prepares a route of a new generation, as the Registry's NewRoute does.
func (h *Hub) NewHandler(cfg HandlerConfig) (*Handler, error) {
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
	hosts := cfg.Config.AllowedHosts
	if len(hosts) == 0 {
		hosts = cfg.Hosts
	}
	handler, err := downstream.New(downstream.Settings{
		Route:     route,
		Hosts:     hosts,
		Origins:   cfg.Config.AllowedOrigins,
		Forward:   cfg.Config.ForwardHeaders,
		SSE:       cfg.Config.SSE.Path,
		WebSocket: cfg.Config.WebSocket.Path,
	})
	if err != nil {
		return nil, fmt.Errorf("route %s: %w", cfg.Route, err)
	}
	return handler, nil
}
