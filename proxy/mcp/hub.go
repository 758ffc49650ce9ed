package mcp

import (
	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/session"
)

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
type Hub struct {
	*session.Registry
	memory *memory.Budget
}

// NewHub returns a hub without sessions, whose keys are random. Close releases
// it.
func NewHub(opts Options) *Hub { return &Hub{session.NewRegistry(opts), opts.Memory} }

// Commit puts the handlers of a new generation in force. Sessions keep their
// ids and follow it; their clients hear of it where the catalogue may have
// changed. Sessions of routes without a handler end. It does not wait for any
// server.
func (h *Hub) Commit(handlers []*Handler) {
	routes := make([]*session.Route, len(handlers))
	for i, handler := range handlers {
		routes[i] = handler.route
	}
	h.Registry.Commit(routes)
}
