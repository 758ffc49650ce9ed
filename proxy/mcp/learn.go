package mcp

import (
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// learn keeps the catalogue.
func (s *session) learn(c *call, kind spec.List, ref ClusterRef, pages []page, whole bool) {
	if kind.ID {
		return
	}
	var names []string
	seen := map[string]bool{}
	for _, p := range pages {
		for _, item := range p.items {
			name := item.Get(kind.Key).String()
			names = append(names, name)
			if kind.Method != spec.ToolsList || !ref.Tools.shows(name) {
				continue
			}
			if seen[name] {
				if s.naming.transparent(c.route.Members) {
					s.report(ref, kind, name, "the server lists the name twice, of which clients see one")
				}
				continue
			}
			seen[name] = true
			s.compare(ref, name, item)
		}
	}
	s.hub.catalogue.learn(s.route, ref.Name, kind, names, whole)
}

// compare reports a tool whose definition is not what it was. Each change is
// told once: of a server that lists two tools of one name on two pages, each
// list would tell it.
func (s *session) compare(ref ClusterRef, name string, definition jsonrpc.Value) {
	if s.modern() {
		definition, _ = withoutBooleans(definition) // as clients with sessions get it
	}
	before, after := s.hub.catalogue.tool(s.route, ref.Name, name, definition)
	if before != after && s.hub.catalogue.first(s.route, ref.Name, "tool "+name+" changed "+before+" "+after) {
		s.hub.opts.Trace.toolChanged(s.route, ref.Name, name, before, after)
	}
}

// report tells operators about a name, once.
func (s *session) report(ref ClusterRef, kind spec.List, name, reason string) {
	if s.hub.catalogue.first(s.route, ref.Name, kind.Label+" "+name+" "+reason) {
		s.hub.opts.Trace.name(s.route, ref.Name, kind.Label, name, reason)
	}
}
