package mcp

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/seal"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

// pagesDrained bounds the walk through the pages of one server.
const pagesDrained = 1000

// list answers a list of one kind.
func (s *session) list(c *call, kind spec.List) ([]byte, error) {
	from, err := s.cursor(c, kind)
	if err != nil {
		return nil, err
	}
	refs := c.route.Members
	if s.naming.Transparent(refs) {
		return s.passList(c, kind, from)
	}
	if from.Cluster != "" {
		i := slices.IndexFunc(refs, func(r federation.Member) bool { return r.Name == from.Cluster })
		if i < 0 {
			return nil, spec.InvalidParams(seal.ErrCursor.Error())
		}
		refs = refs[i:]
	}
	return s.merge(c, kind, from, s.drainAll(c, kind, refs, from))
}

// cursor opens the cursor of a request for a list.
func (s *session) cursor(c *call, kind spec.List) (seal.Position, error) {
	v := c.msg.Params().Get("cursor")
	// Some clients begin with an empty cursor, which is none of ours.
	if !v.Exists() || v.Kind() == jsonrpc.Null || v.Kind() == jsonrpc.String && v.String() == "" {
		return seal.Position{}, nil
	}
	if v.Kind() != jsonrpc.String {
		return seal.Position{}, spec.InvalidParams("params.cursor is not a string")
	}
	p, err := c.session.hub.seal.OpenCursor(s.scope(kind), v.String(), time.Now())
	if err != nil {
		return seal.Position{}, spec.InvalidParams(err.Error())
	}
	return p, nil
}

func (s *session) scope(kind spec.List) seal.Scope {
	return seal.Scope{Route: s.route, Principal: s.principal, Method: kind.Method}
}

// drainAll walks through the lists of all clusters at once. The first one
// begins at from.
func (s *session) drainAll(c *call, kind spec.List, refs []federation.Member, from seal.Position) []federation.Listing {
	all := make([]federation.Listing, len(refs))
	var wg sync.WaitGroup
	for i, ref := range refs {
		start := seal.Position{}
		if i == 0 {
			start = from
		}
		wg.Go(func() { all[i] = s.drain(c, kind, ref, start) })
	}
	wg.Wait()
	return all
}

// drain reads pages of one cluster until it has as much as a page of ours
// takes. A server that repeats a cursor has no end; it is ended here.
func (s *session) drain(c *call, kind spec.List, ref federation.Member, from seal.Position) federation.Listing {
	l := federation.Listing{Member: ref, Hint: federation.Freshest()}
	p := s.servers.at(ref.Name)
	if p == nil {
		l.Err = errEnded
		return l
	}
	t := p.patience(c.route)
	if p.hopeless(t) {
		l.Err = errHopeless
		return l
	}
	ctx, cancel := context.WithTimeoutCause(c.ctx, t, errListTime)
	defer cancel()
	l.Next, l.Err = s.walk(ctx, c, kind, ref, from, func(p federation.Page, m *jsonrpc.Message) bool { return l.Add(kind, p, m) })
	s.learn(c, kind, ref, l.Pages, from.Page == nil && l.Next == nil && l.Err == nil)
	return l
}

// walk reads the pages of one cluster, from a position on, until visit wants no
// more of them. It returns where the walk goes on, nil at the end. A server that
// repeats a cursor has no end; the walk ends there.
func (s *session) walk(ctx context.Context, c *call, kind spec.List, ref federation.Member, from seal.Position, visit func(federation.Page, *jsonrpc.Message) bool) (*seal.Position, error) {
	p := s.servers.at(ref.Name)
	if p == nil {
		return nil, errEnded
	}
	at := seal.Position{Cluster: ref.Name, Page: from.Page, Trail: from.Trail}
	seen := map[string]bool{}
	for range pagesDrained {
		m, err := s.listPage(ctx, c, kind, p, ref, at.Page)
		if err != nil || m == nil { // nil: the server has no such lists
			return nil, err
		}
		next := federation.Following(ref.Name, at, m)
		if next != nil && seen[*next.Page] {
			next = nil
		}
		items, _ := s.admit(ref, kind, federation.Items(kind, m), at.Page == nil, next == nil)
		more := visit(federation.Page{At: at, Items: items}, m)
		if next == nil || !more {
			return next, nil
		}
		seen[*next.Page] = true
		at = *next
	}
	return nil, nil
}

// listPage fetches one page; nil when the server has no such lists.
func (s *session) listPage(ctx context.Context, c *call, kind spec.List, p *peer, ref federation.Member, cursor *string) (*jsonrpc.Message, error) {
	if !p.capable(kind.Capability) {
		return nil, nil
	}
	c.ask(ref.Name)
	m, err := p.exchange(ctx, c, true, func(up *upstream.Session, id jsonrpc.ID) []byte {
		if c.msg.Method() != kind.Method { // a call of another kind needs the list
			return jsonrpc.NewRequest(id, kind.Method, federation.CursorParams(cursor))
		}
		var e jsonrpc.Edits
		e.SetID(c.msg, id)
		c.disclaim(&e, up)
		e.Delete(c.msg.Params().Get("_meta"), "progressToken")
		federation.SetCursor(&e, c.msg, cursor)
		return e.Apply(c.msg)
	})
	switch {
	case err != nil:
		return nil, err
	case !m.IsError():
		return m, nil
	case m.ErrorCode() == jsonrpc.CodeMethodNotFound:
		return nil, nil
	}
	return nil, fmt.Errorf("%s: the server answered %d: %s", kind.Method, m.ErrorCode(), m.ErrorMessage())
}

// merge makes one page of ours of what the clusters said.
func (s *session) merge(c *call, kind spec.List, from seal.Position, all []federation.Listing) ([]byte, error) {
	if missing, err := federation.Missing(all); len(missing) > 0 {
		s.hub.opts.Trace.unavailable(s.route, kind.Method, missing, err)
		if len(missing) == len(all) {
			if c.ctx.Err() != nil {
				return nil, context.Cause(c.ctx)
			}
			return nil, all[0].Err
		}
	}
	merge := federation.Merge{
		Kind:   kind,
		Naming: s.naming,
		Seal:   s.sealID,
		Owner: func(own string) (federation.Member, bool) {
			return federation.First(c.route.Members, own, c.known(kind.Method))
		},
		Cursor: func(next seal.Position) string { return s.hub.seal.Cursor(s.scope(kind), next, time.Now()) },
		Report: func(m federation.Member, name, reason string) { s.report(m, kind, name, reason) },
		Modern: s.modern(),
	}
	return jsonrpc.NewResult(c.msg.ID(), merge.Page(all, from)), nil
}
