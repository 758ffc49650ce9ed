package federation

import (
	"slices"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/seal"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// Unavailable is the member of a result's _meta that names the clusters that did not
// answer.
const Unavailable = "dev.mcpgateway/unavailable"

// Merge makes one list of those of several members.
type Merge struct {
	// Kind says what is listed.
	Kind spec.List
	// Naming tells the members' names apart.
	Naming Naming
	// Seal names ids of the members.
	Seal Seal
	// Owner returns the first member, in the order of the file, that is known to
	// have a name. It is asked where no name has a prefix: the owner may be on an
	// earlier page, or down.
	Owner func(own string) (Member, bool)
	// Cursor seals where the next page begins.
	Cursor func(next seal.Position) string
	// Report is told what an operator should know about a name that clients see, or
	// would see.
	Report func(m Member, name, reason string)
	// Modern reports whether the client's revision has no sessions.
	Modern bool
}

// Page returns the result that holds one page of the list, which begins at from:
// that is in the first of the listings.
func (w *Merge) Page(all []Listing, from seal.Position) []byte {
	p := merging{Merge: w, seen: map[string]string{}}
	next := p.fill(all, from)
	hint := Freshest()
	for _, l := range all {
		hint = hint.And(l.Hint)
	}
	missing, _ := Missing(all)
	switch {
	case len(missing) > 0:
		hint = Hint{}
	case from.Cluster != "":
		hint.Public = from.Public // one scope over all pages of a list
	}
	return p.result(next, missing, hint)
}

// merging is a page that is being made.
type merging struct {
	*Merge
	items []byte // with commas between
	count int
	seen  map[string]string // name as the client sees it: its member
}

// fill takes items, in the order of the file and of each server, until the
// page is full. It returns where the next page begins, nil at the end.
func (w *merging) fill(all []Listing, from seal.Position) *seal.Position {
	for i, l := range all {
		skip := 0
		if i == 0 {
			skip = from.Skip
		}
		for _, p := range l.Pages {
			for n, item := range p.Items {
				if n < skip {
					continue
				}
				if !w.add(l.Member, item) {
					at := p.At
					at.Skip = n
					return &at
				}
			}
			skip = 0
		}
		if l.Next != nil {
			return l.Next
		}
	}
	return nil
}

// add takes one item, unless the page is full.
func (w *merging) add(m Member, item jsonrpc.Value) bool {
	if !m.Shows(w.Kind.Method, item.Get(w.Kind.Key).String()) {
		return true
	}
	if w.count > 0 && (w.count >= PageItems || len(w.items)+len(item.Raw()) > pageBytes) {
		return false
	}
	var e jsonrpc.Edits
	name, own := w.Naming.Of(m, w.Seal).item(&e, w.Kind, item)
	if !w.visible(m, name, own) {
		return true
	}
	if w.count > 0 {
		w.items = append(w.items, ',')
	}
	w.items = append(w.items, e.ApplyTo(item)...)
	w.count++
	return true
}

// visible decides whether an item is shown, and reports what an operator
// should know about its name.
func (w *merging) visible(m Member, name, own string) bool {
	if w.Kind.ID {
		return true
	}
	if w.Kind.URI {
		if len(own) > 0 && own[0] == '{' {
			w.Report(m, name, "a template that begins with an expression may match URIs of other clusters")
		}
		return true
	}
	hide, warn := checkName(name)
	if owner, taken := w.seen[name]; taken && hide == "" {
		hide = "the name is taken by cluster " + owner
	} else if owner, ok := w.ownedBefore(m, own); ok && hide == "" {
		hide = "the name is taken by cluster " + owner
	}
	if hide != "" {
		w.Report(m, name, "hidden: "+hide)
		return false
	}
	w.seen[name] = m.Name
	if warn != "" {
		w.Report(m, name, warn)
	}
	return true
}

// ownedBefore finds, where names have no prefix, a member that stands before m in
// the file and has the name.
func (w *merging) ownedBefore(m Member, own string) (string, bool) {
	if w.Naming.Prefixes() {
		return "", false
	}
	owner, ok := w.Owner(own)
	return owner.Name, ok && owner.Name != m.Name
}

func (w *merging) result(next *seal.Position, missing []string, hint Hint) []byte {
	members := []any{w.Kind.Member, slices.Concat([]byte{'['}, w.items, []byte{']'})}
	if next != nil {
		next.Public = hint.Public
		members = append(members, "nextCursor", w.Cursor(*next))
	}
	if w.Modern {
		members = append(members, "resultType", "complete", "ttlMs", hint.JSON(), "cacheScope", hint.Scope())
	}
	if len(missing) > 0 {
		members = append(members, "_meta", jsonrpc.NewObject(Unavailable, missing))
	}
	return jsonrpc.NewObject(members...)
}
