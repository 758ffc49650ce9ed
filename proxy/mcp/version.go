package mcp

import (
	"encoding/json"
	"net/http"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// isModern reports whether a message is of a revision without sessions.
func isModern(r *http.Request, m *jsonrpc.Message) bool {
	if m.Params().Get("_meta", jsonrpc.MetaProtocolVersion).Exists() {
		return true
	}
	v := r.Header.Get(spec.HeaderVersion)
	return v >= spec.Modern && len(v) == len(spec.Modern)
}

// notAmong refuses a request of a revision that is not among those that are
// offered, so that its client can choose another one (MCP 2026-07-28,
// Versioning).
func notAmong(supported []string, requested string) *failure {
	data, _ := json.Marshal(map[string]any{"supported": supported, "requested": requested}) // strings always encode
	return &failure{status: http.StatusBadRequest, code: jsonrpc.CodeUnsupportedVersion, text: "unsupported protocol version " + requested, data: data}
}
