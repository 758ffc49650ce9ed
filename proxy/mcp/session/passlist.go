package session

import (
	"context"
	"errors"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/seal"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// pass passes one page of the only cluster on, byte for byte but for the
// cursor and for what no client of the route gets. A page of which nothing is
// left is passed over, since many clients read one page only.
func (l lister) pass(from seal.Position) ([]byte, error) {
	ref := l.route.Members[0]
	if from.Cluster != "" && from.Cluster != ref.Name {
		return nil, spec.InvalidParams(seal.ErrCursor.Error())
	}
	// Opening an upstream session has bounds of its own: a command may take longer to
	// start than a list may take.
	if _, err := l.reach(l.ctx, ref); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(l.ctx, l.route.Timeouts.List, errListTime)
	defer cancel()
	var body []byte
	left := false // something was left out
	for range pagesDrained {
		m, err := l.exchange(ctx, ref, func(e *jsonrpc.Edits) { federation.SetCursor(e, l.msg, from.Page) })
		if err != nil && body != nil && errors.Is(err, errListTime) {
			return body, nil // the client goes on where there was no time to
		}
		if err != nil {
			return nil, err
		}
		var e jsonrpc.Edits
		e.SetID(m, l.msg.ID())
		l.modernize(&e, ref, m)
		if m.IsError() {
			return e.Apply(m), nil
		}
		next := federation.Following(ref.Name, from, m)
		list := m.Result().Get(l.kind.Member)
		items := federation.Items(l.kind, m)
		admitted, whole := l.admit(ref, items, from.Page == nil, next == nil)
		shown := ref.Shown(l.kind, admitted)
		if !whole || len(shown) < len(items) {
			e.Replace(list, federation.Join(shown))
			left = true
		}
		l.learn(ref, []federation.Page{{Items: admitted}}, from.Page == nil && next == nil)
		switch at := m.Result().Get("nextCursor"); {
		case next != nil:
			e.ReplaceString(at, l.session.registry.seal.Cursor(l.scope(), *next, time.Now()))
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
