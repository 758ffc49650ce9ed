package spec

import "github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"

// NameOf returns the member of params that names what a client's request is about.
// It does not exist where the request has none.
func NameOf(m *jsonrpc.Message) jsonrpc.Value {
	member := Request(m.Method()).Names
	if member == "" {
		return jsonrpc.Value{}
	}
	return m.Params().Get(member)
}
