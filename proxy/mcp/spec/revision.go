package spec

import "slices"

// The revisions of the specification are named by dates, which compare as strings.
const (
	// Oldest is the first revision. Its transport is HTTP with SSE.
	Oldest = "2024-11-05"
	// Assumed is the first one with Streamable HTTP. A client that names none speaks
	// it (MCP 2025-11-25, Transports, Protocol Version Header).
	Assumed = "2025-03-26"
	// Batches is the only one with batches (MCP 2025-03-26, Base Protocol, Batching).
	Batches = Assumed

	revision20250618 = "2025-06-18"

	// NewestLegacy is the last one with sessions.
	NewestLegacy = "2025-11-25"
	// Modern is the first one without sessions.
	Modern = "2026-07-28"
)

// Revisions returns those that a client of Streamable HTTP may speak, newest
// first.
func Revisions() []string { return append([]string{Modern}, Legacy()...) }

// Legacy returns those of Revisions that have sessions, newest first.
func Legacy() []string { return []string{NewestLegacy, revision20250618, Assumed} }

// IsLegacy reports whether a session of Streamable HTTP may be of a revision.
func IsLegacy(revision string) bool { return slices.Contains(Legacy(), revision) }

// Initialized returns the revisions that begin with initialize, over any transport,
// oldest first.
func Initialized() []string { return []string{Oldest, Assumed, revision20250618, NewestLegacy} }
