package mcp

import (
	"fmt"
	"net/http"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
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
	version, err := single(header, spec.HeaderVersion)
	if err != nil {
		return err
	}
	switch said := meta.Get(jsonrpc.MetaProtocolVersion); {
	case !said.Exists() && version != spec.Modern:
		return notAmong(nil, version)
	case !said.Exists() && !spec.Request(m.Method()).Stateless:
		return noMethod(m.Method()) // whatever its params would have to be
	case said.Kind() != jsonrpc.String:
		return malformed("params._meta lacks " + jsonrpc.MetaProtocolVersion)
	case said.String() != version:
		return mismatch("%s is %q, the body says %q", spec.HeaderVersion, version, said.String())
	case version != spec.Modern:
		return notAmong(nil, version) // the caller knows what is offered
	}
	// A client that does not say what it can do is served as one that can do
	// nothing. Discovery, which is about the gateway itself, keeps to the letter:
	// servers refuse there what they would refuse later.
	switch caps := meta.Get(jsonrpc.MetaCapabilities); {
	case !caps.Exists() && m.Method() == spec.ServerDiscover:
		return malformed("params._meta lacks " + jsonrpc.MetaCapabilities)
	case caps.Exists() && caps.Kind() != jsonrpc.Object:
		return malformed("params._meta: " + jsonrpc.MetaCapabilities + " is no object")
	}
	method, err := single(header, spec.HeaderMethod)
	if err != nil {
		return err
	}
	if method != m.Method() {
		return mismatch("%s is %q, the body says %q", spec.HeaderMethod, method, m.Method())
	}
	return checkMirror(header, m)
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

// checkMirror compares Mcp-Name with what it repeats.
func checkMirror(header http.Header, m *jsonrpc.Message) *failure {
	name := spec.NameOf(m)
	if !spec.Request(m.Method()).NameRequired && (len(header.Values(spec.HeaderName)) == 0 || !name.Exists()) {
		return nil
	}
	text, err := single(header, spec.HeaderName)
	if err != nil {
		return err
	}
	plain, ok := upstream.DecodeHeader(text)
	if !ok {
		return mismatch("%s cannot be decoded", spec.HeaderName)
	}
	if name.Kind() != jsonrpc.String || plain != name.String() {
		return mismatch("%s is %q, the body says another name", spec.HeaderName, plain)
	}
	return nil
}
