package mcp

import (
	"context"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/seal"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// resolve finds who owns the name of a tool or prompt, as the client calls
// it, and what its owner calls it. list is the method whose lists hold it.
func (s *session) resolve(c *call, list, name string) (federation.Member, string, error) {
	ref, own, err := s.owner(c, list, name)
	if err != nil {
		return federation.Member{}, "", err
	}
	shown, err := s.shows(c, ref, list, own)
	if err == nil && !shown {
		err = unknown(list, name)
	}
	return ref, own, err
}

// shows reports whether the route shows what the cluster calls by this name.
// Where the route hides tools, the name must be one that the cluster lists:
// many servers take another spelling of a name, in capitals or with a space
// behind it, for the name itself, and so a pattern alone does not hide a tool.
func (s *session) shows(c *call, ref federation.Member, list, name string) (bool, error) {
	switch {
	case list != spec.ToolsList || ref.Tools.All():
		return true, nil
	case !ref.Tools.Shows(name):
		return false, nil
	case c.knows(ref, list, name):
		return true, nil
	}
	return s.lists(c, ref, name)
}

// lists asks the cluster for its tools, and reports whether one of them has
// this name.
func (s *session) lists(c *call, ref federation.Member, name string) (bool, error) {
	kind, _ := spec.ListOf(spec.ToolsList)
	ctx, cancel := context.WithTimeoutCause(c.ctx, c.route.Timeouts.List, errListTime)
	defer cancel()
	found := false
	walk := func() (complete bool, err error) {
		complete = true
		_, err = s.walk(ctx, c, kind, ref, seal.Position{}, func(p federation.Page, _ *jsonrpc.Message) bool {
			s.learn(c, kind, ref, []federation.Page{p}, false)
			for _, tool := range p.Items {
				listed := tool.Get(kind.Key).String()
				found = found || listed == name
				complete = complete && c.hasName(ref, spec.ToolsList, listed)
			}
			return !found
		})
		return complete && !found && err == nil, err
	}
	if len(name) > federation.MaxName { // no search can tell another one of it
		_, err := walk()
		return found, err
	}
	known := func() bool { return found || c.knows(ref, spec.ToolsList, name) }
	return s.search(ctx, c, ref.Name, spec.ToolsList, known, walk)
}

// owner is resolve, whether or not the route shows what it finds.
func (s *session) owner(c *call, list, name string) (federation.Member, string, error) {
	ref, own, ok := s.naming.Owner(c.route.Members, name, c.known(list))
	if !ok && !s.naming.Prefixes() {
		// No client may have listed yet, as with a single call without a session.
		s.searchAll(c, list, name)
		ref, own, ok = s.naming.Owner(c.route.Members, name, c.known(list))
	}
	if !ok {
		return federation.Member{}, "", unknown(list, name)
	}
	return ref, own, nil
}

// searchAll looks for a name in the lists of all clusters.
func (s *session) searchAll(c *call, list, name string) {
	kind, _ := spec.ListOf(list)
	ctx, cancel := context.WithTimeoutCause(c.ctx, c.route.Timeouts.List, errListTime)
	defer cancel()
	known := func() bool { _, ok := federation.First(c.route.Members, name, c.known(list)); return ok }
	_, _ = s.search(ctx, c, "", list, known, func() (complete bool, err error) {
		complete = true
		for _, l := range s.drainAll(c, kind, c.route.Members, seal.Position{}) {
			complete = complete && l.Err == nil && l.Next == nil && c.hasAll(kind, l)
		}
		return complete, nil
	})
}

// hasAll reports whether the catalogue has all names that a cluster lists: it
// has room for so many.
func (c *call) hasAll(kind spec.List, l federation.Listing) bool {
	for _, p := range l.Pages {
		for _, item := range p.Items {
			if !c.hasName(l.Member, kind.Method, item.Get(kind.Key).String()) {
				return false
			}
		}
	}
	return true
}

// resolveURI does the same for a resource.
func (s *session) resolveURI(c *call, uri string) (federation.Member, string, error) {
	ref, own, ok := s.naming.OwnerOfURI(c.route.Members, uri, c.known(spec.ResourcesList))
	if !ok {
		return federation.Member{}, "", unknown(spec.ResourcesList, uri)
	}
	return ref, own, nil
}

// known tells which cluster was last seen to have a name, and the route shows it.
func (c *call) known(list string) federation.Known {
	return func(ref federation.Member, name string) bool { return c.knows(ref, list, name) }
}

// knows reports whether the cluster was last seen to have the name, and the
// route shows it.
func (c *call) knows(ref federation.Member, list, name string) bool {
	return ref.Shows(list, name) && c.hasName(ref, list, name)
}

// hasName reports whether the cluster was last seen to have the name.
func (c *call) hasName(ref federation.Member, list, name string) bool {
	return c.session.hub.catalogue.Has(c.route.Name, ref.Name, list, name)
}

func unknown(list, name string) error {
	kind, _ := spec.ListOf(list)
	return spec.InvalidParams("unknown " + kind.Label + ": " + name)
}
