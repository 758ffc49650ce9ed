package federation

import (
	"slices"
	"strings"
)

// Known reports whether a member was last seen to list a name, and clients see
// what it lists under that name.
type Known func(m Member, name string) bool

// Find returns the member of that name.
func Find(members []Member, name string) (Member, bool) {
	return First(members, name, func(m Member, name string) bool { return m.Name == name })
}

// Owner finds whose tool or prompt a client means by a name, and what its owner
// calls it. ok is false where no member, or more than one, may be meant.
func (n Naming) Owner(members []Member, name string, known Known) (owner Member, own string, ok bool) {
	if n.Transparent(members) {
		return members[0], name, true
	}
	bare, hasBare := Find(members, n.bare)
	if hasBare && known(bare, name) {
		return bare, name, true
	}
	if !n.Prefixes() {
		owner, ok = First(members, name, known)
		return owner, name, ok
	}
	for _, m := range members {
		mapper := n.Of(m, nil)
		if own, ok := strings.CutPrefix(name, mapper.prefix); ok && !mapper.transparent {
			return m, own, true
		}
	}
	if hasBare {
		return bare, name, true
	}
	return only(members, name, known)
}

// OwnerOfURI does the same for a resource.
func (n Naming) OwnerOfURI(members []Member, uri string, known Known) (owner Member, own string, ok bool) {
	if n.Transparent(members) {
		return members[0], uri, true
	}
	if cluster, own, ok := splitURI(uri); ok {
		if m, ok := Find(members, cluster); ok && m.Name != n.bare {
			return m, own, true
		}
	}
	if bare, ok := Find(members, n.bare); ok {
		return bare, uri, true
	}
	return only(members, uri, known)
}

// only finds the owner of a bare name that exactly one member has: hosts of MCP
// Apps call tools by the names that their servers know.
func only(members []Member, name string, known Known) (owner Member, own string, ok bool) {
	for _, m := range members {
		if !known(m, name) {
			continue
		}
		if ok {
			return Member{}, "", false
		}
		owner, ok = m, true
	}
	return owner, name, ok
}

// First finds the owner where no name has a prefix: the first member in the order
// of the file that is known to have the name, even while it is down.
func First(members []Member, name string, known Known) (Member, bool) {
	i := slices.IndexFunc(members, func(m Member) bool { return known(m, name) })
	if i < 0 {
		return Member{}, false
	}
	return members[i], true
}
