package session

import (
	"context"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/seal"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// resolver finds who owns a name that a client uses, for one call.
type resolver struct{ *call }

// resolve finds who owns the name of a tool or prompt, as the client calls
// it, and what its owner calls it. list is the method whose lists hold it.
func (r resolver) resolve(list, name string) (federation.Member, string, error) {
	ref, own, ok := r.session.naming.Owner(r.route.Members, name, r.known(list))
	if !ok && !r.session.naming.Prefixes() {
		// No client may have listed yet, as with a single call without a session.
		r.searchAll(list, name)
		ref, own, ok = r.session.naming.Owner(r.route.Members, name, r.known(list))
	}
	var err error
	if ok {
		ok, err = r.shows(ref, list, own)
	}
	if !ok && err == nil {
		err = unknown(list, name)
	}
	return ref, own, err
}

// shows reports whether the route shows what the cluster calls by this name.
// Where the route hides tools, the name must be one that the cluster lists:
// many servers take another spelling of a name, in capitals or with a space
// behind it, for the name itself, and so a pattern alone does not hide a tool.
func (r resolver) shows(ref federation.Member, list, name string) (bool, error) {
	switch {
	case list != spec.ToolsList || ref.Tools.All():
		return true, nil
	case !ref.Tools.Shows(name):
		return false, nil
	case r.knows(ref, list, name):
		return true, nil
	}
	return r.lists(ref, name)
}

// lists asks the cluster for its tools, and reports whether one of them has
// this name.
func (r resolver) lists(ref federation.Member, name string) (bool, error) {
	kind := *spec.Request(spec.ToolsList).List
	list := lister{r.call, kind}
	ctx, cancel := context.WithTimeoutCause(r.ctx, r.route.Timeouts.List, errListTime)
	defer cancel()
	found := false
	walk := func() (complete bool, err error) {
		complete = true
		_, err = list.walk(ctx, ref, seal.Position{}, func(p federation.Page, _ *jsonrpc.Message) bool {
			list.learn(ref, []federation.Page{p}, false)
			for _, tool := range p.Items {
				listed := tool.Get(kind.Key).String()
				found = found || listed == name
				complete = complete && r.hasName(ref, spec.ToolsList, listed)
			}
			return !found
		})
		return complete && !found && err == nil, err
	}
	if len(name) > federation.MaxName { // no search can tell another one of it
		_, err := walk()
		return found, err
	}
	known := func() bool { return found || r.knows(ref, spec.ToolsList, name) }
	return r.search(ctx, ref.Name, spec.ToolsList, known, walk)
}

// searchAll looks for a name in the lists of all clusters.
func (r resolver) searchAll(list, name string) {
	kind := *spec.Request(list).List
	ctx, cancel := context.WithTimeoutCause(r.ctx, r.route.Timeouts.List, errListTime)
	defer cancel()
	known := func() bool { _, ok := federation.First(r.route.Members, name, r.known(list)); return ok }
	_, _ = r.search(ctx, "", list, known, func() (complete bool, err error) {
		complete = true
		for _, l := range (lister{r.call, kind}).drainAll(r.route.Members, seal.Position{}) {
			complete = complete && l.Err == nil && l.Next == nil && r.hasAll(kind, l)
		}
		return complete, nil
	})
}

// hasAll reports whether the catalogue has all names that a cluster lists: it
// has room for so many.
func (r resolver) hasAll(kind spec.List, l federation.Listing) bool {
	for _, p := range l.Pages {
		for _, item := range p.Items {
			if !r.hasName(l.Member, kind.Method, item.Get(kind.Key).String()) {
				return false
			}
		}
	}
	return true
}

// resolveURI does the same for a resource.
func (r resolver) resolveURI(uri string) (federation.Member, string, error) {
	ref, own, ok := r.session.naming.OwnerOfURI(r.route.Members, uri, r.known(spec.ResourcesList))
	if !ok {
		return federation.Member{}, "", unknown(spec.ResourcesList, uri)
	}
	return ref, own, nil
}

// known tells which cluster was last seen to have a name, and the route shows it.
func (r resolver) known(list string) federation.Known {
	return func(ref federation.Member, name string) bool { return r.knows(ref, list, name) }
}

// knows reports whether the cluster was last seen to have the name, and the
// route shows it.
func (r resolver) knows(ref federation.Member, list, name string) bool {
	return ref.Shows(list, name) && r.hasName(ref, list, name)
}

// hasName reports whether the cluster was last seen to have the name.
func (r resolver) hasName(ref federation.Member, list, name string) bool {
	return r.session.registry.catalogue.Has(r.route.Name, ref.Name, list, name)
}

func unknown(list, name string) error {
	return spec.InvalidParams("unknown " + spec.Request(list).List.Label + ": " + name)
}
