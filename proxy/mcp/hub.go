package mcp

import "github.com/mcpgateway/mcpgateway/proxy/mcp/session"

// What a [Hub] is made of, and what it tells.
type (
	// Options are what a Hub is made of.
	Options = session.Options
	// Trace receives the facts that logs and metrics are made of.
	Trace = session.Trace
	// Stats are counts of one route.
	Stats = session.Stats
)

// Hub owns the downstream sessions of all routes, for the life of the process.
type Hub struct{ *session.Registry }

// NewHub returns a hub without sessions, whose keys are random. Close releases
// it.
func NewHub(opts Options) *Hub { return &Hub{session.NewRegistry(opts)} }

// Commit puts the handlers of a new generation in force, as the Registry does with
// their routes.
func (h *Hub) Commit(handlers []*Handler) {
	routes := make([]*session.Route, len(handlers))
	for i, handler := range handlers {
		routes[i] = handler.Route()
	}
	h.Registry.Commit(routes)
}
