package federation

import (
	"strings"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// Refusal is a definition that no client gets, since the specification's schema
// refuses it.
type Refusal struct {
	// Name is the member's own, or its URI, cut short; empty where it has none.
	Name string
	// Reason says what is wrong with it.
	Reason string
}

// Admit returns the items of a page that the specification allows, and what is
// wrong with the others. whole reports whether they are the items as they were.
// modern reports whether the client's revision has no sessions: what one revision
// refuses may be right in another.
func Admit(m Member, kind spec.List, items []jsonrpc.Value, modern bool) (admitted []jsonrpc.Value, whole bool, refused []Refusal) {
	rule := definitionOf(kind.Method, modern)
	if rule == nil {
		return items, true, nil
	}
	admitted, whole = items, true
	for i, item := range items {
		path, why := rule.mistake(item)
		if why == "" || !m.Shows(kind.Method, item.Get(kind.Key).String()) { // what is hidden anyway is no loss
			if !whole {
				admitted = append(admitted, item)
			}
			continue
		}
		if whole {
			admitted, whole = append(make([]jsonrpc.Value, 0, len(items)), items[:i]...), false
		}
		if rule == sessionToolRule {
			item = withoutBooleans(item)
			path, why = rule.mistake(item)
		}
		if why == "" {
			admitted = append(admitted, item)
		} else {
			refused = append(refused, Refusal{shorten(item.Get(kind.Key).String()), strings.TrimSpace(path + " " + why)})
		}
	}
	return admitted, whole, refused
}

// withoutBooleans returns a tool in whose schemas the parameters that may be
// anything, or nothing, are described by objects. Servers made in Go write true
// and false for them, as JSON Schema allows, and the revisions with sessions do
// not.
func withoutBooleans(tool jsonrpc.Value) jsonrpc.Value {
	var e jsonrpc.Edits
	found := false
	for _, schema := range []string{"inputSchema", "outputSchema"} {
		for _, property := range tool.Get(schema, "properties").Each {
			if property.Kind() != jsonrpc.Bool {
				continue
			}
			found = true
			if property.Bool() {
				e.Replace(property, []byte("{}"))
			} else {
				e.Replace(property, []byte(`{"not":{}}`))
			}
		}
	}
	if !found {
		return tool
	}
	mended, _ := jsonrpc.ParseValue(e.ApplyTo(tool)) // an edit of a value leaves JSON
	return mended
}
