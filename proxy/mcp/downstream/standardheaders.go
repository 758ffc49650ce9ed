package downstream

import (
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

// checkHeaders compares the headers of a modern request with its body (MCP
// 2026-07-28, Streamable HTTP, Server Validation), and sees that the body says
// who asks.
func checkHeaders(header http.Header, m *jsonrpc.Message) *spec.Error {
	meta := m.Params().Get("_meta")
	version, err := single(header, spec.HeaderVersion)
	if err != nil {
		return err
	}
	switch said := meta.Get(jsonrpc.MetaProtocolVersion); {
	case !said.Exists() && version != spec.Modern:
		return spec.UnsupportedVersion(nil, version)
	case !said.Exists() && !spec.Request(m.Method()).Stateless:
		return spec.MethodNotFound(m.Method()) // whatever its params would have to be
	case said.Kind() != jsonrpc.String:
		return spec.MalformedParams("params._meta lacks " + jsonrpc.MetaProtocolVersion)
	case said.String() != version:
		return spec.HeaderMismatch("%s is %q, the body says %q", spec.HeaderVersion, version, said.String())
	case version != spec.Modern:
		return spec.UnsupportedVersion(nil, version) // the caller knows what is offered
	}
	// A client that does not say what it can do is served as one that can do
	// nothing. Discovery, which is about the gateway itself, keeps to the letter:
	// servers refuse there what they would refuse later.
	switch caps := meta.Get(jsonrpc.MetaCapabilities); {
	case !caps.Exists() && m.Method() == spec.ServerDiscover:
		return spec.MalformedParams("params._meta lacks " + jsonrpc.MetaCapabilities)
	case caps.Exists() && caps.Kind() != jsonrpc.Object:
		return spec.MalformedParams("params._meta: " + jsonrpc.MetaCapabilities + " is no object")
	}
	method, err := single(header, spec.HeaderMethod)
	if err != nil {
		return err
	}
	if method != m.Method() {
		return spec.HeaderMismatch("%s is %q, the body says %q", spec.HeaderMethod, method, m.Method())
	}
	return checkMirror(header, m)
}

// single returns the only value of a header that every modern request has.
func single(header http.Header, name string) (string, *spec.Error) {
	switch values := header.Values(name); {
	case len(values) == 0 || values[0] == "":
		return "", spec.HeaderMismatch("%s is missing", name)
	case len(values) > 1:
		return "", spec.HeaderMismatch("there is more than one %s", name)
	default:
		return values[0], nil
	}
}

// checkMirror compares Mcp-Name with what it repeats.
func checkMirror(header http.Header, m *jsonrpc.Message) *spec.Error {
	name := spec.NameOf(m)
	if !spec.Request(m.Method()).NameRequired && (len(header.Values(spec.HeaderName)) == 0 || !name.Exists()) {
		return nil
	}
	text, err := single(header, spec.HeaderName)
	if err != nil {
		return err
	}
	plain, ok := spec.DecodeHeader(text)
	if !ok {
		return spec.HeaderMismatch("%s cannot be decoded", spec.HeaderName)
	}
	if name.Kind() != jsonrpc.String || plain != name.String() {
		return spec.HeaderMismatch("%s is %q, the body says another name", spec.HeaderName, plain)
	}
	return nil
}
