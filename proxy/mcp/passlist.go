package mcp

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/seal"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// passList passes one page of the only cluster on, byte for byte but for the
// cursor and for what no client of the route gets. A page of which nothing is
// left is passed over, since many clients read one page only.
func (s *session) passList(c *call, kind spec.List, from seal.Position) ([]byte, error) {
	ref := c.route.Members[0]
	if from.Cluster != "" && from.Cluster != ref.Name {
		return nil, invalid(seal.ErrCursor.Error())
	}
	if err := s.reach(c, ref); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(c.ctx, c.route.Timeouts.List, errListTime)
	defer cancel()
	var body []byte
	left := false // something was left out
	for range pagesDrained {
		m, err := c.exchange(ctx, ref, true, func(e *jsonrpc.Edits) { setCursor(e, c.msg, from.Page) })
		if err != nil && body != nil && errors.Is(err, errListTime) {
			return body, nil // the client goes on where there was no time to
		}
		if err != nil {
			return nil, err
		}
		var e jsonrpc.Edits
		e.SetID(m, c.msg.ID())
		c.modernize(&e, ref, m)
		if m.IsError() {
			return e.Apply(m), nil
		}
		next := following(ref.Name, from, m)
		list := m.Result().Get(kind.Member)
		items := slices.Collect(elements(list))
		admitted, whole := s.admit(ref, kind, items, from.Page == nil, next == nil)
		shown := ref.shown(kind, admitted)
		if !whole || len(shown) < len(items) {
			e.Replace(list, joined(shown))
			left = true
		}
		s.learn(c, kind, ref, []page{{items: admitted}}, from.Page == nil && next == nil)
		switch at := m.Result().Get("nextCursor"); {
		case next != nil:
			e.ReplaceString(at, s.hub.seal.Cursor(s.scope(kind), *next, time.Now()))
		case at.Kind() == jsonrpc.String:
			e.Delete(m.Result(), "nextCursor")
		}
		body = e.Apply(m)
		if next == nil || len(shown) > 0 || !left {
			return body, nil
		}
		from = *next
	}
	return body, nil
}

// reach opens the upstream session that a list needs, which has bounds of its
// own: a command may take longer to start than a list may take.
func (s *session) reach(c *call, ref ClusterRef) error {
	p := s.peer(ref.Name)
	if p == nil {
		return errEnded
	}
	l, err := p.acquire(c.ctx, c)
	if err == nil {
		p.release(l)
	}
	return err
}

// setCursor puts a server's own cursor, or none, in the place of ours.
func setCursor(e *jsonrpc.Edits, m *jsonrpc.Message, cursor *string) {
	params := m.Params()
	if cursor == nil {
		e.Delete(params, "cursor")
		return
	}
	if params.Exists() {
		e.SetString(params, "cursor", *cursor)
		return
	}
	e.Set(m.Envelope(), "params", cursorParams(cursor))
}

// cursorParams are the params of a list that begins at cursor.
func cursorParams(cursor *string) []byte {
	if cursor == nil {
		return nil
	}
	return append(jsonrpc.AppendString([]byte(`{"cursor":`), *cursor), '}')
}

// joined is the array of the items.
func joined(items []jsonrpc.Value) []byte {
	b := []byte{'['}
	for i, item := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, item.Raw()...)
	}
	return append(b, ']')
}
