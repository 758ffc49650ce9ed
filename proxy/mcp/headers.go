package mcp

import (
	"fmt"
	"net/http"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

const (
	methodHeader = "Mcp-Method"
	nameHeader   = "Mcp-Name"
	// paramHeader begins those that repeat parameters of a tool.
	paramHeader = "Mcp-Param-"
)

// mismatch refuses a request whose headers say another thing than its body:
// what stands before the gateway may have judged it by the headers.
func mismatch(format string, args ...any) *failure {
	return &failure{status: http.StatusBadRequest, code: jsonrpc.CodeHeaderMismatch, text: "header mismatch: " + fmt.Sprintf(format, args...)}
}

// malformed refuses a request that lacks what every modern one has.
func malformed(text string) *failure {
	return &failure{status: http.StatusBadRequest, code: jsonrpc.CodeInvalidParams, text: text}
}

// checkModern compares the headers of a modern request with its body (MCP
// 2026-07-28, Streamable HTTP, Server Validation), and sees that the body says
// who asks.
func checkModern(header http.Header, m *jsonrpc.Message) *failure {
	meta := m.Params().Get("_meta")
	version, err := single(header, versionHeader)
	if err != nil {
		return err
	}
	switch said := meta.Get(jsonrpc.MetaProtocolVersion); {
	case !said.Exists() && version != modern:
		return notAmong(nil, version)
	case !said.Exists() && !hasMethod(m.Method()):
		return noMethod(m.Method()) // whatever its params would have to be
	case said.Kind() != jsonrpc.String:
		return malformed("params._meta lacks " + jsonrpc.MetaProtocolVersion)
	case said.String() != version:
		return mismatch("%s is %q, the body says %q", versionHeader, version, said.String())
	case version != modern:
		return notAmong(nil, version) // the caller knows what is offered
	}
	// A client that does not say what it can do is served as one that can do
	// nothing. Discovery, which is about the gateway itself, keeps to the letter:
	// servers refuse there what they would refuse later.
	switch caps := meta.Get(jsonrpc.MetaCapabilities); {
	case !caps.Exists() && m.Method() == "server/discover":
		return malformed("params._meta lacks " + jsonrpc.MetaCapabilities)
	case caps.Exists() && caps.Kind() != jsonrpc.Object:
		return malformed("params._meta: " + jsonrpc.MetaCapabilities + " is no object")
	}
	method, err := single(header, methodHeader)
	if err != nil {
		return err
	}
	if method != m.Method() {
		return mismatch("%s is %q, the body says %q", methodHeader, method, m.Method())
	}
	return checkMirror(header, m)
}

// hasMethod reports whether the revision without sessions has a request of this
// method.
func hasMethod(method string) bool {
	if _, list := listOf(method); list {
		return true
	}
	switch method {
	case "server/discover", "tools/call", "prompts/get", "resources/read", "completion/complete", "subscriptions/listen",
		"tasks/get", "tasks/update", "tasks/cancel":
		return true
	}
	return false
}

// single returns the only value of a header that every modern request has.
func single(header http.Header, name string) (string, *failure) {
	switch values := header.Values(name); {
	case len(values) == 0 || values[0] == "":
		return "", mismatch("%s is missing", name)
	case len(values) > 1:
		return "", mismatch("there is more than one %s", name)
	default:
		return values[0], nil
	}
}

// nameOf returns the member of params that Mcp-Name repeats, and whether a
// request of this method must have the header.
func nameOf(m *jsonrpc.Message) (name jsonrpc.Value, required bool) {
	params := m.Params()
	switch m.Method() {
	case "tools/call", "prompts/get":
		return params.Get("name"), true
	case "resources/read":
		return params.Get("uri"), true
	case "tasks/get", "tasks/update", "tasks/cancel":
		return params.Get("taskId"), false
	}
	return jsonrpc.Value{}, false
}

// checkMirror compares Mcp-Name with what it repeats.
func checkMirror(header http.Header, m *jsonrpc.Message) *failure {
	name, required := nameOf(m)
	if !required && (len(header.Values(nameHeader)) == 0 || !name.Exists()) {
		return nil
	}
	text, err := single(header, nameHeader)
	if err != nil {
		return err
	}
	plain, ok := upstream.DecodeHeader(text)
	if !ok {
		return mismatch("%s cannot be decoded", nameHeader)
	}
	if name.Kind() != jsonrpc.String || plain != name.String() {
		return mismatch("%s is %q, the body says another name", nameHeader, plain)
	}
	return nil
}
