package federation

import "strings"

// separator stands between a member's prefix and a name of its own. Prefixes
// cannot hold an underscore, so that a name can be cut in one place only.
const separator = "__"

// The modes of a Naming, as the file has them. In any other mode names have
// prefixes once there are several members.
const (
	always = "always"
	never  = "never"
)

// Naming tells the names of several members apart. A session keeps the one
// with which it began: a client that has listed its tools goes on calling them
// by these names, whatever is added to the route. Two namings can be compared.
type Naming struct {
	mode string
	// bare is the only member there was at the beginning, whose names and
	// URIs stay as they are. Empty: there were several, or always is set.
	bare string
	// prefixes are those that the members had at the beginning, written as
	// " cluster=prefix " one after the other, so that namings compare.
	prefixes string
}

// NewNaming returns the naming of sessions that begin now. mode says when names
// have prefixes: auto, always or never.
func NewNaming(mode string, members []Member) Naming {
	n := Naming{mode: mode}
	for _, m := range members {
		n.prefixes += " " + m.Name + "=" + m.EffectivePrefix() + " "
	}
	if mode != always && len(members) == 1 {
		n.bare = members[0].Name
	}
	return n
}

// Transparent reports whether the only member is passed through without a change
// of its names.
func (n Naming) Transparent(members []Member) bool {
	return len(members) == 1 && members[0].Name == n.bare
}

// Prefixes reports whether names have prefixes where they are told apart.
func (n Naming) Prefixes() bool { return n.mode != never }

// prefix is what stands before the names of a member. One that was added
// later has the prefix that the file gives it, unless another member began
// with that: then its own name.
func (n Naming) prefix(m Member) string {
	if _, rest, ok := strings.Cut(n.prefixes, " "+m.Name+"="); ok {
		prefix, _, _ := strings.Cut(rest, " ")
		return prefix
	}
	if strings.Contains(n.prefixes, "="+m.EffectivePrefix()+" ") {
		return m.Name
	}
	return m.EffectivePrefix()
}

// Of returns how what this member says is rewritten. seal may be nil where no id
// is.
func (n Naming) Of(m Member, seal Seal) Mapper {
	mapper := Mapper{cluster: m.Name, transparent: m.Name == n.bare, seal: seal}
	if !mapper.transparent && n.Prefixes() {
		mapper.prefix = n.prefix(m) + separator
	}
	return mapper
}

// ToolName is what sessions that begin with these members call a tool of the
// cluster; empty when they do not see it.
func ToolName(mode string, members []Member, cluster, own string) string {
	m, ok := Find(members, cluster)
	if !ok || !m.Tools.Shows(own) {
		return ""
	}
	return NewNaming(mode, members).Of(m, nil).name(own)
}

const (
	nameLimit = 128 // MCP 2025-11-25, Tools, Tool Names
	nameWarn  = 64  // what several model providers take
)

// checkName says what is wrong with a name that clients will see: hide when
// it cannot be one, warn when some clients will not take it.
func checkName(name string) (hide, warn string) {
	switch {
	case name == "":
		return "the name is empty", ""
	case len(name) > nameLimit:
		return "longer than 128 characters", ""
	case strings.ContainsFunc(name, notNameRune):
		return "", "holds characters other than A-Z, a-z, 0-9, _, - and ."
	case len(name) > nameWarn:
		return "", "longer than 64 characters, which some clients refuse"
	}
	return "", ""
}

func notNameRune(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-' || r == '.')
}
