package mcp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/seal"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

const (
	// pageItems and pageBytes bound a page of a merged list. Many clients read
	// one page only, so it is a big one.
	pageItems = 1000
	pageBytes = 1 << 20
	// pagesDrained bounds the walk through the pages of one server.
	pagesDrained = 1000
)

// unavailableKey names the clusters that a list lacks.
const unavailableKey = "dev.mcpgateway/unavailable"

// drained is what one cluster had to say about a list.
type drained struct {
	ref   ClusterRef
	pages []page
	// next is where the walk goes on, if it stopped before the end.
	next *seal.Position
	hint hint
	err  error
}

type page struct {
	at    seal.Position // of its first item
	items []jsonrpc.Value
}

// list answers a list of one kind.
func (s *session) list(c *call, kind spec.List) ([]byte, error) {
	from, err := s.cursor(c, kind)
	if err != nil {
		return nil, err
	}
	refs := c.route.Members
	if s.naming.transparent(refs) {
		return s.passList(c, kind, from)
	}
	if from.Cluster != "" {
		i := slices.IndexFunc(refs, func(r ClusterRef) bool { return r.Name == from.Cluster })
		if i < 0 {
			return nil, invalid(seal.ErrCursor.Error())
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
		return seal.Position{}, invalid("params.cursor is not a string")
	}
	p, err := c.session.hub.seal.OpenCursor(s.scope(kind), v.String(), time.Now())
	if err != nil {
		return seal.Position{}, invalid(err.Error())
	}
	return p, nil
}

func (s *session) scope(kind spec.List) seal.Scope {
	return seal.Scope{Route: s.route, Principal: s.principal, Method: kind.Method}
}

func elements(v jsonrpc.Value) func(func(jsonrpc.Value) bool) {
	return func(yield func(jsonrpc.Value) bool) {
		for _, item := range v.Each {
			if !yield(item) {
				return
			}
		}
	}
}

// drainAll walks through the lists of all clusters at once. The first one
// begins at from.
func (s *session) drainAll(c *call, kind spec.List, refs []ClusterRef, from seal.Position) []drained {
	all := make([]drained, len(refs))
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
func (s *session) drain(c *call, kind spec.List, ref ClusterRef, from seal.Position) (d drained) {
	d.ref, d.hint = ref, freshest()
	p := s.peer(ref.Name)
	if p == nil {
		d.err = errEnded
		return d
	}
	t := p.patience(c.route)
	if p.hopeless(t) {
		d.err = errHopeless
		return d
	}
	ctx, cancel := context.WithTimeoutCause(c.ctx, t, errListTime)
	defer cancel()
	items, size := 0, 0
	d.next, d.err = s.walk(ctx, c, kind, ref, from, func(p page, m *jsonrpc.Message) bool {
		d.pages = append(d.pages, p)
		d.hint = d.hint.and(hintOf(m.Result()))
		items += len(ref.shown(kind, p.items))
		size += len(m.Raw())
		return items <= pageItems && size <= pageBytes
	})
	s.learn(c, kind, ref, d.pages, from.Page == nil && d.next == nil && d.err == nil)
	return d
}

// walk reads the pages of one cluster, from a position on, until visit wants no
// more of them. It returns where the walk goes on, nil at the end. A server that
// repeats a cursor has no end; the walk ends there.
func (s *session) walk(ctx context.Context, c *call, kind spec.List, ref ClusterRef, from seal.Position, visit func(page, *jsonrpc.Message) bool) (*seal.Position, error) {
	p := s.peer(ref.Name)
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
		next := following(ref.Name, at, m)
		if next != nil && seen[*next.Page] {
			next = nil
		}
		items := slices.Collect(elements(m.Result().Get(kind.Member)))
		items, _ = s.admit(ref, kind, items, at.Page == nil, next == nil)
		more := visit(page{at, items}, m)
		if next == nil || !more {
			return next, nil
		}
		seen[*next.Page] = true
		at = *next
	}
	return nil, nil
}

// following returns where a cluster's list continues after m, the page at at; nil
// at its end.
func following(cluster string, at seal.Position, m *jsonrpc.Message) *seal.Position {
	v := m.Result().Get("nextCursor")
	if v.Kind() != jsonrpc.String {
		return nil
	}
	at.Cluster = cluster
	return at.Next(v.String())
}

// listPage fetches one page; nil when the server has no such lists.
func (s *session) listPage(ctx context.Context, c *call, kind spec.List, p *peer, ref ClusterRef, cursor *string) (*jsonrpc.Message, error) {
	if !p.capable(kind.Capability) {
		return nil, nil
	}
	c.ask(ref.Name)
	m, err := p.exchange(ctx, c, true, func(up *upstream.Session, id jsonrpc.ID) []byte {
		if c.msg.Method() != kind.Method { // a call of another kind needs the list
			return jsonrpc.NewRequest(id, kind.Method, cursorParams(cursor))
		}
		var e jsonrpc.Edits
		e.SetID(c.msg, id)
		c.disclaim(&e, up)
		e.Delete(c.msg.Params().Get("_meta"), "progressToken")
		setCursor(&e, c.msg, cursor)
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
func (s *session) merge(c *call, kind spec.List, from seal.Position, all []drained) ([]byte, error) {
	var missing []string
	var errs []error
	for _, d := range all {
		if d.err != nil {
			missing = append(missing, d.ref.Name)
			errs = append(errs, d.err)
		}
	}
	if len(missing) > 0 {
		s.hub.opts.Trace.unavailable(s.route, kind.Method, missing, errors.Join(errs...))
		if len(missing) == len(all) {
			if c.ctx.Err() != nil {
				return nil, context.Cause(c.ctx)
			}
			return nil, errs[0]
		}
	}
	w := newPageWriter(s, kind, c)
	next := w.fill(all, from)
	h := freshest()
	for _, d := range all {
		h = h.and(d.hint)
	}
	switch {
	case len(missing) > 0:
		h = hint{}
	case from.Cluster != "":
		h.public = from.Public // one scope over all pages of a list
	}
	return w.result(next, missing, h), nil
}
