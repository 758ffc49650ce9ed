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
	// modernKey marks its requests.
	modernKey = "io.modelcontextprotocol/protocolVersion"
)

// versions are the revisions that clients may speak, newest first.
func versions() []string { return []string{newest, "2025-06-18", assumed} }

func spoken(version string) bool { return slices.Contains(versions(), version) }

// isModern reports whether a request is of a revision without sessions, and
// which one it names.
func isModern(r *http.Request, m *jsonrpc.Message) (string, bool) {
	if v := m.Params().Get("_meta", modernKey); v.Exists() {
		return v.String(), true
	}
	v := r.Header.Get(versionHeader)
	return v, v >= modern && len(v) == len(modern)
}

// unsupported says so to a client with a session.
func unsupported(version string) string {
	return "unsupported protocol version " + version
}

// unsupportedBody answers a request of a revision that is not spoken, so that
// its client can choose another one (MCP 2026-07-28, Versioning).
func unsupportedBody(id jsonrpc.ID, requested string) []byte {
	data, _ := json.Marshal(map[string]any{"supported": versions(), "requested": requested}) // strings always encode
	return jsonrpc.NewError(id, codeUnsupportedVersion, unsupported(requested), data)
}
