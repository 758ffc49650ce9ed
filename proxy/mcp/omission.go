package mcp

import (
	"cmp"
	"slices"
	"strings"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// LeftOut is a definition that a cluster was last seen to list, and that no
// client gets, since the specification's schema refuses it.
type LeftOut struct {
	// Kind is tool, prompt, resource or template.
	Kind string
	// Name is the cluster's own, or its URI, cut short; empty where it has none.
	Name string
	// Reason says what is wrong with it.
	Reason string
}

// leftOutLimit bounds how many of a list are remembered.
const leftOutLimit = 100

// omissions are the definitions of one list that were left out. The two eras
// have each their own: what one revision refuses may be right in another.
type omissions struct {
	walk    int // counts how often the list was begun
	entries map[string]omission
}

type omission struct {
	name, reason string
	walk         int // in which it was seen last
}

// omissionKey is a list, as clients of one era get it.
type omissionKey struct {
	method string
	modern bool
}

// admit returns the items of a page that the specification allows, and reports
// the others. whole tells that they are the items as they were. first and last
// tell which part of the list the page is.
func (s *session) admit(ref ClusterRef, kind spec.List, items []jsonrpc.Value, first, last bool) (admitted []jsonrpc.Value, whole bool) {
	rule := definitionOf(kind.Method, s.modern())
	if rule == nil {
		return items, true
	}
	var refused []omission
	admitted, whole = items, true
	for i, item := range items {
		path, why := rule.mistake(item)
		if why == "" && whole {
			continue
		}
		if why != "" && !ref.serves(kind.Method, item.Get(kind.Key).String()) {
			why = "" // what is hidden anyway is no loss
		}
		if whole && why != "" {
			admitted, whole = append(make([]jsonrpc.Value, 0, len(items)), items[:i]...), false
		}
		if why != "" && rule == sessionToolRule {
			if mended, ok := withoutBooleans(item); ok {
				item = mended
				path, why = rule.mistake(item)
			}
		}
		switch {
		case whole:
		case why == "":
			admitted = append(admitted, item)
		default:
			name := shorten(item.Get(kind.Key).String())
			refused = append(refused, omission{name: name, reason: strings.TrimSpace(path + " " + why)})
		}
	}
	s.hub.catalogue.refuse(s.route, ref.Name, omissionKey{kind.Method, s.modern()}, refused, first, last)
	for _, r := range refused {
		s.report(ref, kind, r.name, "left out: "+r.reason)
	}
	return admitted, whole
}

// withoutBooleans returns a tool in whose schemas the parameters that may be
// anything, or nothing, are described by objects. Servers made in Go write true
// and false for them, as JSON Schema allows, and the revisions with sessions do
// not. ok is false where there are none.
func withoutBooleans(tool jsonrpc.Value) (mended jsonrpc.Value, ok bool) {
	var e jsonrpc.Edits
	for _, schema := range []string{"inputSchema", "outputSchema"} {
		for _, property := range tool.Get(schema, "properties").Each {
			switch {
			case property.Kind() != jsonrpc.Bool:
				continue
			case property.Bool():
				e.Replace(property, []byte("{}"))
			default:
				e.Replace(property, []byte(`{"not":{}}`))
			}
			ok = true
		}
	}
	if !ok {
		return tool, false
	}
	mended, err := jsonrpc.ParseValue(e.ApplyTo(tool))
	return mended, err == nil
}

// refuse notes what of a page was left out.
func (c *catalogue) refuse(route, cluster string, key omissionKey, refused []omission, first, last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.entry(route, cluster)
	r := k.refused[key]
	if r == nil {
		if len(refused) == 0 {
			return
		}
		r = &omissions{entries: map[string]omission{}}
		k.refused[key] = r
	}
	if first {
		r.walk++
	}
	for _, one := range refused {
		id := one.name
		if id == "" {
			id = " " + one.reason
		}
		if _, known := r.entries[id]; known || len(r.entries) < leftOutLimit {
			one.walk = r.walk
			r.entries[id] = one
		}
	}
	if !last {
		return
	}
	for id, one := range r.entries {
		if one.walk < r.walk {
			delete(r.entries, id) // the server has mended or removed it
		}
	}
}

// leftOut returns, by cluster, what was left out on any route.
func (c *catalogue) leftOut() map[string][]LeftOut {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string][]LeftOut{}
	for _, byCluster := range c.routes {
		for cluster, k := range byCluster {
			for key, r := range k.refused {
				kind, _ := spec.ListOf(key.method)
				for _, one := range r.entries {
					all[cluster] = append(all[cluster], LeftOut{kind.Label, one.name, one.reason})
				}
			}
		}
	}
	for cluster, list := range all {
		slices.SortFunc(list, func(a, b LeftOut) int {
			return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Reason, b.Reason))
		})
		all[cluster] = slices.Compact(list)
	}
	return all
}

// LeftOut returns, by cluster, the definitions that no client gets.
func (h *Hub) LeftOut() map[string][]LeftOut { return h.catalogue.leftOut() }
