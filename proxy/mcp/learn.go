package mcp

import (
	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// learn keeps the catalogue.
func (s *session) learn(c *call, kind spec.List, ref federation.Member, pages []federation.Page, whole bool) {
	if kind.ID {
		return
	}
	var names []string
	seen := map[string]bool{}
	for _, p := range pages {
		for _, item := range p.Items {
			name := item.Get(kind.Key).String()
			names = append(names, name)
			if kind.Method != spec.ToolsList || !ref.Tools.Shows(name) {
				continue
			}
			if seen[name] {
				if s.naming.Transparent(c.route.Members) {
					s.report(ref, kind, name, "the server lists the name twice, of which clients see one")
				}
				continue
			}
			seen[name] = true
			if before, after := s.hub.catalogue.Tool(s.route, ref.Name, name, item, s.modern()); before != after {
				s.hub.opts.Trace.toolChanged(s.route, ref.Name, name, before, after)
			}
		}
	}
	s.hub.catalogue.Learn(s.route, ref.Name, kind, names, whole)
}

// admit returns the items of a page that the specification allows, and reports
// the others. whole reports whether they are the items as they were. first and
// last tell which part of the list the page is.
func (s *session) admit(ref federation.Member, kind spec.List, items []jsonrpc.Value, first, last bool) (admitted []jsonrpc.Value, whole bool) {
	admitted, whole, refused := federation.Admit(ref, kind, items, s.modern())
	s.hub.catalogue.Refuse(s.route, ref.Name, kind.Method, s.modern(), refused, first, last)
	for _, r := range refused {
		s.report(ref, kind, r.Name, "left out: "+r.Reason)
	}
	return admitted, whole
}

// report tells operators about a name, once.
func (s *session) report(ref federation.Member, kind spec.List, name, reason string) {
	if s.hub.catalogue.FirstReport(s.route, ref.Name, kind.Label+" "+name+" "+reason) {
		s.hub.opts.Trace.name(s.route, ref.Name, kind.Label, name, reason)
	}
}
