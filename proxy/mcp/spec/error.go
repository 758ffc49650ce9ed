package spec

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
)

// Error is what a request is answered with that cannot be served as it is.
type Error struct {
	// Status is the HTTP status of the answer outside of a session; inside of one it
	// is 200.
	Status int
	// Code is one of JSON-RPC or of the specification.
	Code int
	// Text tells the client what is wrong.
	Text string
	// Data is JSON; nil: there is none.
	Data []byte
}

func (e *Error) Error() string { return e.Text }

// StatelessStatus is the HTTP status for a client whose revision has no sessions.
func (e *Error) StatelessStatus() int {
	if status := StatusOf(int64(e.Code)); status != http.StatusOK {
		return status
	}
	return e.Status
}

// StatusOf is the HTTP status of an error that a server answered with, for a client
// whose revision has no sessions (MCP 2026-07-28, Streamable HTTP).
func StatusOf(code int64) int {
	switch code {
	case jsonrpc.CodeMethodNotFound:
		return http.StatusNotFound
	case jsonrpc.CodeHeaderMismatch, jsonrpc.CodeMissingCapability, jsonrpc.CodeUnsupportedVersion:
		return http.StatusBadRequest
	}
	return http.StatusOK
}

// InvalidParams refuses params that the client could have known to be wrong.
func InvalidParams(text string) *Error {
	return &Error{Status: http.StatusOK, Code: jsonrpc.CodeInvalidParams, Text: text}
}

// MalformedParams refuses params that lack what those of every request without a
// session have, or hold what none may have.
func MalformedParams(text string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: jsonrpc.CodeInvalidParams, Text: text}
}

// MethodNotFound says that a method is not served.
func MethodNotFound(method string) *Error {
	return &Error{Status: http.StatusOK, Code: jsonrpc.CodeMethodNotFound, Text: "method not found: " + method}
}

// HeaderMismatch refuses a request whose headers say another thing than its body:
// what stands before the gateway may have judged it by the headers.
func HeaderMismatch(format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Code: jsonrpc.CodeHeaderMismatch, Text: "header mismatch: " + fmt.Sprintf(format, args...)}
}

// UnsupportedVersion refuses a request of a revision that is not among those that
// are supported, so that its client can choose another one (MCP 2026-07-28,
// Versioning).
func UnsupportedVersion(supported []string, requested string) *Error {
	data, _ := json.Marshal(map[string]any{"supported": supported, "requested": requested}) // strings always encode
	return &Error{Status: http.StatusBadRequest, Code: jsonrpc.CodeUnsupportedVersion, Text: "unsupported protocol version " + requested, Data: data}
}
