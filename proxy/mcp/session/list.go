package session

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

// lister reads the lists of one kind from the servers, for one call.
type lister struct {
	*call
	kind spec.List
}

// list answers a request for the list.
func (l lister) list() ([]byte, error) {
	from, err := l.cursor()
	if err != nil {
		return nil, err
	}
	refs := l.route.Members
	if l.session.naming.Transparent(refs) {
		return l.pass(from)
	}
	if from.Cluster != "" {
		i := slices.IndexFunc(refs, func(r federation.Member) bool { return r.Name == from.Cluster })
		if i < 0 {
			return nil, spec.InvalidParams(seal.ErrCursor.Error())
		}
		refs = refs[i:]
	}
	return l.merge(from, l.drainAll(refs, from))
}

// cursor opens the cursor of a request for a list.
func (l lister) cursor() (seal.Position, error) {
	v := l.msg.Params().Get("cursor")
	// Some clients begin with an empty cursor, which is none of ours.
	if !v.Exists() || v.Kind() == jsonrpc.Null || v.Kind() == jsonrpc.String && v.String() == "" {
		return seal.Position{}, nil
	}
	if v.Kind() != jsonrpc.String {
		return seal.Position{}, spec.InvalidParams("params.cursor is not a string")
	}
	p, err := l.session.registry.seal.OpenCursor(l.scope(), v.String(), time.Now())
	if err != nil {
		return seal.Position{}, spec.InvalidParams(err.Error())
	}
	return p, nil
}

func (l lister) scope() seal.Scope {
	return seal.Scope{Route: l.session.route, Principal: l.session.principal, Method: l.kind.Method}
}

// drainAll walks through the lists of all clusters at once. The first one
// begins at from.
func (l lister) drainAll(refs []federation.Member, from seal.Position) []federation.Listing {
	all := make([]federation.Listing, len(refs))
	var wg sync.WaitGroup
	for i, ref := range refs {
		start := seal.Position{}
		if i == 0 {
			start = from
		}
		wg.Go(func() { all[i] = l.drain(ref, start) })
	}
	wg.Wait()
	return all
}

// drain reads pages of one cluster until it has as much as a page of ours takes.
func (l lister) drain(ref federation.Member, from seal.Position) federation.Listing {
	listing := federation.Listing{Member: ref, Hint: federation.Freshest()}
	patience, hopeless := l.session.servers.at(ref.Name).Patience(&l.route.slots)
	if hopeless {
		listing.Err = errHopeless
		return listing
	}
	ctx, cancel := context.WithTimeoutCause(l.ctx, patience, errListTime)
	defer cancel()
	listing.Next, listing.Err = l.walk(ctx, ref, from, func(p federation.Page, m *jsonrpc.Message) bool { return listing.Add(l.kind, p, m) })
	l.learn(ref, listing.Pages, from.Page == nil && listing.Next == nil && listing.Err == nil)
	return listing
}

// walk reads the pages of one cluster, from a position on, until visit wants no
// more of them. It returns where the walk goes on, nil at the end. A server that
// repeats a cursor has no end; the walk ends there.
func (l lister) walk(ctx context.Context, ref federation.Member, from seal.Position, visit func(federation.Page, *jsonrpc.Message) bool) (*seal.Position, error) {
	at := seal.Position{Cluster: ref.Name, Page: from.Page, Trail: from.Trail}
	seen := map[string]bool{}
	for range pagesDrained {
		m, err := l.page(ctx, ref, at.Page)
		if err != nil || m == nil { // nil: the server has no such lists
			return nil, err
		}
		next := federation.Following(ref.Name, at, m)
		if next != nil && seen[*next.Page] {
			next = nil
		}
		items, _ := l.admit(ref, federation.Items(l.kind, m), at.Page == nil, next == nil)
		more := visit(federation.Page{At: at, Items: items}, m)
		if next == nil || !more {
			return next, nil
		}
		seen[*next.Page] = true
		at = *next
	}
	return nil, nil
}

// page fetches one page; nil when the server has no such lists.
func (l lister) page(ctx context.Context, ref federation.Member, cursor *string) (*jsonrpc.Message, error) {
	if !l.session.servers.at(ref.Name).Server().Capable(l.kind.Capability) {
		return nil, nil
	}
	m, err := l.send(ctx, ref, true, func(server *upstream.Server, id jsonrpc.ID) []byte {
		if l.msg.Method() != l.kind.Method { // a call of another kind needs the list
			return jsonrpc.NewRequest(id, l.kind.Method, federation.CursorParams(cursor))
		}
		var e jsonrpc.Edits
		e.SetID(l.msg, id)
		l.disclaim(&e, server)
		e.Delete(l.msg.Params().Get("_meta"), "progressToken")
		federation.SetCursor(&e, l.msg, cursor)
		return e.Apply(l.msg)
	})
	switch {
	case err != nil:
		return nil, err
	case !m.IsError():
		return m, nil
	case m.ErrorCode() == jsonrpc.CodeMethodNotFound:
		return nil, nil
	}
	return nil, fmt.Errorf("%s: the server answered %d: %s", l.kind.Method, m.ErrorCode(), m.ErrorMessage())
}

// merge makes one page of ours of what the clusters said.
func (l lister) merge(from seal.Position, all []federation.Listing) ([]byte, error) {
	if missing, err := federation.Missing(all); len(missing) > 0 {
		l.session.registry.opts.Trace.Unavailable(l.session.route, l.kind.Method, missing, err)
		if len(missing) == len(all) {
			if l.ctx.Err() != nil {
				return nil, context.Cause(l.ctx)
			}
			return nil, all[0].Err
		}
	}
	merge := federation.Merge{
		Kind:   l.kind,
		Naming: l.session.naming,
		Seal:   l.session.sealID,
		Owner: func(own string) (federation.Member, bool) {
			return federation.First(l.route.Members, own, resolver{l.call}.known(l.kind.Method))
		},
		Cursor: func(next seal.Position) string { return l.session.registry.seal.Cursor(l.scope(), next, time.Now()) },
		Report: func(m federation.Member, name, reason string) { l.report(m, name, reason) },
		Modern: l.session.modern,
	}
	return jsonrpc.NewResult(l.msg.ID(), merge.Page(all, from)), nil
}
