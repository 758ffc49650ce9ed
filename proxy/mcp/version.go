package mcp

import (
	"encoding/json"
	"net/http"
	"slices"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

const (
	// newest is the newest revision with sessions.
	newest = "2025-11-25"
	// assumed is the revision of a client that says nothing (MCP 2025-11-25,
	// Transports, Protocol Version Header).
	assumed = "2025-03-26"
	// oldest is spoken by clients that were made for another transport and
	// use this one all the same.
	oldest = "2024-11-05"
	// modern is the first revision without sessions.
	modern = "2026-07-28"
)

// versions are the revisions that clients may speak, newest first. Discovery
// and the refusal of other revisions list those of them that a route offers.
func versions() []string { return append([]string{modern}, legacy()...) }

// legacy are those of them that have sessions.
func legacy() []string { return []string{newest, "2025-06-18", assumed} }

// spoken reports whether sessions may be of this revision.
func spoken(version string) bool { return slices.Contains(legacy(), version) }

// isModern reports whether a message is of a revision without sessions.
func isModern(r *http.Request, m *jsonrpc.Message) bool {
	if m.Params().Get("_meta", jsonrpc.MetaProtocolVersion).Exists() {
		return true
	}
	v := r.Header.Get(versionHeader)
	return v >= modern && len(v) == len(modern)
}

// notAmong refuses a request of a revision that is not among those that are
// offered, so that its client can choose another one (MCP 2026-07-28,
// Versioning).
func notAmong(supported []string, requested string) *failure {
	data, _ := json.Marshal(map[string]any{"supported": supported, "requested": requested}) // strings always encode
	return &failure{status: http.StatusBadRequest, code: jsonrpc.CodeUnsupportedVersion, text: "unsupported protocol version " + requested, data: data}
}
