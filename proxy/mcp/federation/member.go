package federation

import (
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// Member names a cluster of a route.
type Member struct {
	Name   string     `yaml:"name" required:"true" shorthand:"true" doc:"The cluster's name."`
	Prefix string     `yaml:"prefix" pattern:"^[a-z0-9][a-z0-9-]{0,31}$" example:"gh" doc:"Stands before its names in a federation. Default: the cluster's name."`
	Tools  ToolFilter `yaml:"tools" doc:"Which of its tools are served. Where any is hidden, only names that the cluster lists can be called, and only methods of MCP pass."`
}

// EffectivePrefix is what stands before the names of the member in a federation.
func (m *Member) EffectivePrefix() string {
	if m.Prefix != "" {
		return m.Prefix
	}
	return m.Name
}

// Shows reports whether clients see what the member lists under a name of its
// own. list is the method of the list.
func (m *Member) Shows(list, name string) bool {
	return list != spec.ToolsList || m.Tools.Shows(name)
}

// Shown returns those of the member's items that clients see.
func (m *Member) Shown(kind spec.List, items []jsonrpc.Value) []jsonrpc.Value {
	if kind.Method != spec.ToolsList || m.Tools.All() {
		return items
	}
	shown := make([]jsonrpc.Value, 0, len(items))
	for _, item := range items {
		if m.Shows(kind.Method, item.Get(kind.Key).String()) {
			shown = append(shown, item)
		}
	}
	return shown
}
