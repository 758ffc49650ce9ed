package mcp

import (
	"net/http"

	"github.com/mcpgateway/mcpgateway/clusters"
)

// HandlerConfig is what one generation says about one route.
type HandlerConfig struct {
	// Route is the route's name: sessions are bound to it.
	Route string
	// Config is the route's block mcp.
	Config *Config
	// Hosts are the route's match.hosts, the default of allowed_hosts.
	Hosts []string
	// Clusters are the generation's.
	Clusters *clusters.Set
}

// Handler serves one route of one generation.
type Handler struct {
	HandlerConfig
	hub *Hub
}

// NewHandler prepares a route of a new generation. It touches no session:
// Commit puts the handler in force.
func (h *Hub) NewHandler(cfg HandlerConfig) (*Handler, error) {
	return &Handler{HandlerConfig: cfg, hub: h}, nil
}

// ServeHTTP serves MCP's Streamable HTTP.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {}
