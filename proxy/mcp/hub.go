package mcp

import "context"

// Options are what a Hub is made of.
type Options struct {
	// Name and Version are the serverInfo of a federation.
	Name, Version string
	// Key seals cursors (AES-256-GCM). Nil: random, for the life of the process.
	Key []byte
	// Trace may be nil.
	Trace *Trace
}

// Hub owns the downstream sessions of all routes, for the life of the process.
type Hub struct {
	opts Options
}

// NewHub returns a hub without sessions. Close releases it.
func NewHub(opts Options) *Hub {
	return &Hub{opts: opts}
}

// Commit puts the handlers of a new generation in force. Sessions keep their
// ids; those of routes without a handler end.
func (h *Hub) Commit(handlers []*Handler) {}

// Close ends every session: streams end after a whole event, upstream
// sessions are deleted, bounded by ctx.
func (h *Hub) Close(ctx context.Context) {}

// Stats are counts of one route.
type Stats struct {
	Sessions, Streams int
}

// Stats returns the counts of every route that has a handler or a session.
func (h *Hub) Stats() map[string]Stats { return nil }

// Catalogue returns the names of the tools that each cluster of the route was
// last seen to have, unprefixed, in the cluster's order.
func (h *Hub) Catalogue(route string) map[string][]string { return nil }
