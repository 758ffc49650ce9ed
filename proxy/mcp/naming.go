package mcp

import (
	"slices"
	"strings"
)

// separator stands between a cluster's prefix and a name of its own. Prefixes
// cannot hold an underscore, so the cut is never in doubt.
const separator = "__"

// naming tells the names of several clusters apart. A session keeps the one
// with which it began: a client that has listed its tools goes on calling them
// by these names, whatever is added to the route.
type naming struct {
	mode string
	// bare is the only cluster there was at the beginning, whose names and
	// URIs stay as they are. Empty: there were several, or always is set.
	bare string
	// prefixes are those that the clusters had at the beginning, written as
	// " cluster=prefix " one after the other, so that namings compare.
	prefixes string
}

func newNaming(mode string, refs []ClusterRef) naming {
	n := naming{mode: mode}
	for _, ref := range refs {
		n.prefixes += " " + ref.Name + "=" + ref.prefix() + " "
	}
	if mode != "always" && len(refs) == 1 {
		n.bare = refs[0].Name
	}
	return n
}

// transparent reports whether the only cluster of the route is passed through
// without a change of its names.
func (n naming) transparent(refs []ClusterRef) bool {
	return len(refs) == 1 && refs[0].Name == n.bare
}

// prefix is what stands before the names of a cluster. One that was added
// later has the prefix that the file gives it, unless another cluster began
// with that: then its own name.
func (n naming) prefix(ref ClusterRef) string {
	if _, rest, ok := strings.Cut(n.prefixes, " "+ref.Name+"="); ok {
		prefix, _, _ := strings.Cut(rest, " ")
		return prefix
	}
	if strings.Contains(n.prefixes, "="+ref.prefix()+" ") {
		return ref.Name
	}
	return ref.prefix()
}

// of returns how what this cluster says is rewritten.
func (n naming) of(ref ClusterRef) mapper {
	m := mapper{cluster: ref.Name, transparent: ref.Name == n.bare}
	if !m.transparent && n.mode != "never" {
		m.prefix = n.prefix(ref) + separator
	}
	return m
}

// mapper rewrites what one cluster says for a client that sees several. What
// it does not touch stays byte for byte.
type mapper struct {
	cluster string
	// prefix stands before the names of tools and prompts.
	prefix string
	// transparent: nothing is rewritten.
	transparent bool
	// seal names ids of the cluster.
	seal func(kind, own string) string
}

// name is what a client calls the cluster's tool or prompt.
func (m mapper) name(own string) string { return m.prefix + own }

// uri is what a client calls the cluster's resource: <cluster>+<whole URI>.
// Of ui:// the scheme is kept, since hosts of MCP Apps look for it.
func (m mapper) uri(own string) string {
	if m.transparent {
		return own
	}
	if rest, ok := strings.CutPrefix(own, uiScheme); ok {
		return uiScheme + m.cluster + "+" + rest
	}
	return m.cluster + "+" + own
}

const uiScheme = "ui://"

// splitURI cuts what uri made: at the first "+", since no name of a cluster
// holds one.
func splitURI(uri string) (cluster, own string, ok bool) {
	if rest, ui := strings.CutPrefix(uri, uiScheme); ui {
		cluster, own, ok = strings.Cut(rest, "+")
		return cluster, uiScheme + own, ok
	}
	return strings.Cut(uri, "+")
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

// Names reports whether the route names the cluster.
func (c *Config) Names(cluster string) bool {
	return slices.ContainsFunc(c.Clusters, func(r ClusterRef) bool { return r.Name == cluster })
}

// ToolName is what sessions that begin with this configuration call a tool of
// the cluster; empty when they do not see it.
func (c *Config) ToolName(cluster, own string) string {
	n := newNaming(c.Namespace, c.Clusters)
	for _, ref := range c.Clusters {
		if ref.Name == cluster && ref.Tools.shows(own) {
			return n.of(ref).name(own)
		}
	}
	return ""
}
