package mcp

import (
	"context"
	"strings"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/seal"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// resolve finds who owns the name of a tool or prompt, as the client calls
// it, and what its owner calls it. list is the method whose lists hold it.
func (s *session) resolve(c *call, list, name string) (ClusterRef, string, error) {
	ref, own, err := s.owner(c, list, name)
	if err != nil {
		return ClusterRef{}, "", err
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
func (s *session) shows(c *call, ref ClusterRef, list, name string) (bool, error) {
	switch {
	case list != spec.ToolsList || ref.Tools.all():
		return true, nil
	case !ref.Tools.shows(name):
		return false, nil
	case c.knows(ref, list, name):
		return true, nil
	}
	return s.lists(c, ref, name)
}

// lists asks the cluster for its tools, and reports whether one of them has
// this name.
func (s *session) lists(c *call, ref ClusterRef, name string) (bool, error) {
	kind, _ := spec.ListOf(spec.ToolsList)
	ctx, cancel := context.WithTimeoutCause(c.ctx, c.route.Timeouts.List, errListTime)
	defer cancel()
	found := false
	walk := func() (complete bool, err error) {
		complete = true
		_, err = s.walk(ctx, c, kind, ref, seal.Position{}, func(p page, _ *jsonrpc.Message) bool {
			s.learn(c, kind, ref, []page{p}, false)
			for _, tool := range p.items {
				listed := tool.Get(kind.Key).String()
				found = found || listed == name
				complete = complete && c.hasName(ref, spec.ToolsList, listed)
			}
			return !found
		})
		return complete && !found && err == nil, err
	}
	if len(name) > catalogueName { // no search can tell another one of it
		_, err := walk()
		return found, err
	}
	known := func() bool { return found || c.knows(ref, spec.ToolsList, name) }
	return s.search(ctx, c, ref.Name, spec.ToolsList, known, walk)
}

// owner is resolve, whether or not the route shows what it finds.
func (s *session) owner(c *call, list, name string) (ClusterRef, string, error) {
	refs, names := c.route.Members, s.naming
	if names.transparent(refs) {
		return refs[0], name, nil
	}
	bare, hasBare := c.route.member(names.bare)
	if hasBare && c.knows(bare, list, name) {
		return bare, name, nil
	}
	if names.mode != "never" {
		for _, ref := range refs {
			m := names.of(ref)
			if own, ok := strings.CutPrefix(name, m.prefix); ok && !m.transparent {
				return ref, own, nil
			}
		}
		if hasBare {
			return bare, name, nil
		}
		return c.onlyOwner(list, name)
	}
	if ref, ok := c.firstOwner(list, name); ok {
		return ref, name, nil
	}
	// No client may have listed yet, as with a single call without a session.
	kind, _ := spec.ListOf(list)
	ctx, cancel := context.WithTimeoutCause(c.ctx, c.route.Timeouts.List, errListTime)
	defer cancel()
	known := func() bool { _, ok := c.firstOwner(list, name); return ok }
	_, _ = s.search(ctx, c, "", list, known, func() (complete bool, err error) {
		complete = true
		for _, d := range s.drainAll(c, kind, refs, seal.Position{}) {
			complete = complete && d.err == nil && d.next == nil && c.hasAll(kind, d)
		}
		return complete, nil
	})
	if ref, ok := c.firstOwner(list, name); ok {
		return ref, name, nil
	}
	return ClusterRef{}, "", unknown(list, name)
}

// hasAll reports whether the catalogue has all names that a cluster lists: it
// has room for so many.
func (c *call) hasAll(kind spec.List, d drained) bool {
	for _, p := range d.pages {
		for _, item := range p.items {
			if !c.hasName(d.ref, kind.Method, item.Get(kind.Key).String()) {
				return false
			}
		}
	}
	return true
}

// resolveURI does the same for a resource.
func (s *session) resolveURI(c *call, uri string) (ClusterRef, string, error) {
	refs, names := c.route.Members, s.naming
	if names.transparent(refs) {
		return refs[0], uri, nil
	}
	if cluster, own, ok := splitURI(uri); ok {
		if ref, ok := c.route.member(cluster); ok && !names.of(ref).transparent {
			return ref, own, nil
		}
	}
	if bare, ok := c.route.member(names.bare); ok {
		return bare, uri, nil
	}
	return c.onlyOwner(spec.ResourcesList, uri)
}

// knows reports whether the cluster was last seen to have the name, and the
// route shows it.
func (c *call) knows(ref ClusterRef, list, name string) bool {
	return ref.serves(list, name) && c.hasName(ref, list, name)
}

// hasName reports whether the cluster was last seen to have the name.
func (c *call) hasName(ref ClusterRef, list, name string) bool {
	return c.session.hub.catalogue.has(c.route.Name, ref.Name, list, name)
}

// onlyOwner finds the owner of a bare name: hosts of MCP Apps call tools by
// the names that their servers know.
func (c *call) onlyOwner(list, name string) (ClusterRef, string, error) {
	var owner ClusterRef
	found := 0
	for _, ref := range c.route.Members {
		if c.knows(ref, list, name) {
			owner = ref
			found++
		}
	}
	if found != 1 {
		return ClusterRef{}, "", unknown(list, name)
	}
	return owner, name, nil
}

// firstOwner finds the owner where no name has a prefix: the first cluster in
// file order, even while it is down.
func (c *call) firstOwner(list, name string) (ClusterRef, bool) {
	for _, ref := range c.route.Members {
		if c.knows(ref, list, name) {
			return ref, true
		}
	}
	return ClusterRef{}, false
}

func unknown(list, name string) error {
	kind, _ := spec.ListOf(list)
	return invalid("unknown " + kind.Label + ": " + name)
}
