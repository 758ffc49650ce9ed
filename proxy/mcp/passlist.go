package mcp

import (
	"context"
	"errors"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
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
		return nil, spec.InvalidParams(seal.ErrCursor.Error())
	}
	if err := s.reach(c, ref); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(c.ctx, c.route.Timeouts.List, errListTime)
	defer cancel()
	var body []byte
	left := false // something was left out
	for range pagesDrained {
		m, err := c.exchange(ctx, ref, true, func(e *jsonrpc.Edits) { federation.SetCursor(e, c.msg, from.Page) })
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
		next := federation.Following(ref.Name, from, m)
		list := m.Result().Get(kind.Member)
		items := federation.Items(kind, m)
		admitted, whole := s.admit(ref, kind, items, from.Page == nil, next == nil)
		shown := ref.Shown(kind, admitted)
		if !whole || len(shown) < len(items) {
			e.Replace(list, federation.Join(shown))
			left = true
		}
		s.learn(c, kind, ref, []federation.Page{{Items: admitted}}, from.Page == nil && next == nil)
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
func (s *session) reach(c *call, ref federation.Member) error {
	p := s.servers.at(ref.Name)
	if p == nil {
		return errEnded
	}
	l, err := p.acquire(c.ctx, c)
	if err == nil {
		p.release(l)
	}
	return err
}
