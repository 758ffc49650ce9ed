package federation

import (
	"cmp"
	"maps"
	"slices"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// LeftOut is a definition that a member was last seen to list, and that no
// client gets, since the specification's schema refuses it.
type LeftOut struct {
	// Kind is tool, prompt, resource or template.
	Kind string
	Refusal
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
	Refusal
	walk int // in which it was seen last
}

// omissionKey is a list, as clients of one era get it.
type omissionKey struct {
	method string
	modern bool
}

// Refuse notes what of a page of a list was left out for clients of one era.
// first and last tell which part of the list the page is.
func (c *Catalogue) Refuse(route, cluster, method string, modern bool, refused []Refusal, first, last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.entry(route, cluster)
	key := omissionKey{method, modern}
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
		id := one.Name
		if id == "" {
			id = " " + one.Reason
		}
		if _, known := r.entries[id]; known || len(r.entries) < leftOutLimit {
			r.entries[id] = omission{one, r.walk}
		}
	}
	if last { // the server has mended or removed what was not seen again
		maps.DeleteFunc(r.entries, func(_ string, one omission) bool { return one.walk < r.walk })
	}
}

// LeftOut returns, by cluster, what was left out on any route.
func (c *Catalogue) LeftOut() map[string][]LeftOut {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string][]LeftOut{}
	for at, k := range c.known {
		for key, r := range k.refused {
			for _, one := range r.entries {
				all[at.cluster] = append(all[at.cluster], LeftOut{spec.Request(key.method).List.Label, one.Refusal})
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
