package routes

import (
	"net/http"

	"github.com/mcpgateway/mcpgateway/clusters"
)

// Deps is what the routes of a generation need from the rest of it.
type Deps struct {
	// Clusters are the generation's.
	Clusters *clusters.Set
	// MCP makes the handler of a route with the action mcp.
	MCP func(route *Config) (http.Handler, error)
	// Ready answers for health: ready. Nil is always ready.
	Ready func() bool
	// Previous is the Router before this one, not closed yet; what did not
	// change is carried over from it. Nil at the start.
	Previous *Router
}

// Router is one generation's routes.
type Router struct{}

// NewRouter prepares the routes of a generation. On an error nothing is left
// behind.
func NewRouter(cfgs []Config, deps Deps) (*Router, error) {
	return &Router{}, nil
}

// Handler serves the requests of one listener.
func (rt *Router) Handler(listener string) http.Handler { return http.NotFoundHandler() }

// Close gives back what the Router shares with others. Requests in flight go
// on.
func (rt *Router) Close() {}
