package federation

import (
	"errors"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/seal"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

const (
	// PageItems and pageBytes bound a page of a merged list. Many clients read
	// one page only, so it is a big one.
	PageItems = 1000
	pageBytes = 1 << 20
)

// Page is a part of a member's list.
type Page struct {
	At    seal.Position // of its first item
	Items []jsonrpc.Value
}

// Listing is what one member had to say about a list.
type Listing struct {
	Member Member
	Pages  []Page
	// Next is where the list goes on; nil: it was read to its end.
	Next *seal.Position
	// Hint is that of all pages together. It begins with Freshest.
	Hint Hint
	// Err is why the list could not be read, or not to its end.
	Err error

	items, bytes int
}

// Add adds a page, of which m is the answer that brought it. It reports whether
// a page of a merged list has room for more.
func (l *Listing) Add(kind spec.List, p Page, m *jsonrpc.Message) (more bool) {
	l.Pages = append(l.Pages, p)
	l.Hint = l.Hint.And(HintOf(m.Result()))
	l.items += len(l.Member.Shown(kind, p.Items))
	l.bytes += len(m.Raw())
	return l.items <= PageItems && l.bytes <= pageBytes
}

// Missing returns the members whose lists could not be read, and why.
func Missing(all []Listing) (names []string, err error) {
	var errs []error
	for _, l := range all {
		if l.Err != nil {
			names = append(names, l.Member.Name)
			errs = append(errs, l.Err)
		}
	}
	return names, errors.Join(errs...)
}

// Items returns the items of a page of a list.
func Items(kind spec.List, m *jsonrpc.Message) []jsonrpc.Value {
	var items []jsonrpc.Value
	for _, item := range m.Result().Get(kind.Member).Each {
		items = append(items, item)
	}
	return items
}

// Join returns the array of the items.
func Join(items []jsonrpc.Value) []byte {
	b := []byte{'['}
	for i, item := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, item.Raw()...)
	}
	return append(b, ']')
}

// Following returns where a member's list goes on after m, the page at at; nil at
// its end.
func Following(member string, at seal.Position, m *jsonrpc.Message) *seal.Position {
	v := m.Result().Get("nextCursor")
	if v.Kind() != jsonrpc.String {
		return nil
	}
	at.Cluster = member
	return at.Next(v.String())
}

// SetCursor notes a server's own cursor, or none, in the place of ours in m, a
// client's request for a list.
func SetCursor(e *jsonrpc.Edits, m *jsonrpc.Message, cursor *string) {
	if cursor == nil {
		e.Delete(m.Params(), "cursor")
		return
	}
	e.SetPath(m.Envelope(), jsonrpc.AppendString(nil, *cursor), "params", "cursor")
}

// CursorParams are the params of a request for a list that begins at cursor; nil
// where that is nil.
func CursorParams(cursor *string) []byte {
	if cursor == nil {
		return nil
	}
	return jsonrpc.NewObject("cursor", *cursor)
}
