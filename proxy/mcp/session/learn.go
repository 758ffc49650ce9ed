package session

import (
	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// learn keeps the catalogue.
func (l lister) learn(ref federation.Member, pages []federation.Page, whole bool) {
	if l.kind.ID {
		return
	}
	var names []string
	seen := map[string]bool{}
	for _, p := range pages {
		for _, item := range p.Items {
			name := item.Get(l.kind.Key).String()
			names = append(names, name)
			if l.kind.Method != spec.ToolsList || !ref.Tools.Shows(name) {
				continue
			}
			if seen[name] {
				if l.session.naming.Transparent(l.route.Members) {
					l.report(ref, name, "the server lists the name twice, of which clients see one")
				}
				continue
			}
			seen[name] = true
			if before, after := l.session.registry.catalogue.Tool(l.session.route, ref.Name, name, item, l.session.modern); before != after {
				l.session.registry.opts.Trace.ToolChanged(l.session.route, ref.Name, name, before, after)
			}
		}
	}
	l.session.registry.catalogue.Learn(l.session.route, ref.Name, l.kind, names, whole)
}

// admit returns the items of a page that the specification allows, and reports
// the others. whole reports whether they are the items as they were. first and
// last tell which part of the list the page is.
func (l lister) admit(ref federation.Member, items []jsonrpc.Value, first, last bool) (admitted []jsonrpc.Value, whole bool) {
	admitted, whole, refused := federation.Admit(ref, l.kind, items, l.session.modern)
	l.session.registry.catalogue.Refuse(l.session.route, ref.Name, l.kind.Method, l.session.modern, refused, first, last)
	for _, r := range refused {
		l.report(ref, r.Name, "left out: "+r.Reason)
	}
	return admitted, whole
}

// report tells operators about a name, once.
func (l lister) report(ref federation.Member, name, reason string) {
	if l.session.registry.catalogue.FirstReport(l.session.route, ref.Name, l.kind.Label+" "+name+" "+reason) {
		l.session.registry.opts.Trace.Name(l.session.route, ref.Name, l.kind.Label, name, reason)
	}
}
