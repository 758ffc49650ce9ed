package proxy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/proxy/routes"
)

// A Plan is what applying a new Config changes, decided by content alone:
// that of the file, and of every file it names.
type Plan struct {
	Listeners []ListenerChange `json:"listeners,omitempty"`
	Clusters  []ClusterChange  `json:"clusters,omitempty"`
	Routes    []RouteChange    `json:"routes,omitempty"`
	// RoutesReordered says that the same routes stand in another order, which
	// may change what matches first.
	RoutesReordered bool `json:"routes_reordered,omitempty"`
	// Settings are the sections without names that changed: log, acme, admin,
	// reload, drain, shutdown, memory, state keys.
	Settings []string `json:"settings,omitempty"`
}

// A Change is what happens to something that has a name.
type Change string

// The changes of a plan; what stays as it is has none.
const (
	Added   Change = "added"
	Removed Change = "removed"
	Changed Change = "changed"
)

// ListenerChange says what a listener's connections will notice.
type ListenerChange struct {
	Name   string `json:"name"`
	Change Change `json:"change"`
	// Drains: existing connections drain, and new ones meet a new server.
	Drains bool `json:"drains,omitempty"`
	// Certificates: the next handshake shows other server certificates.
	Certificates bool `json:"certificates,omitempty"`
	// Trust: open peers are verified again.
	Trust bool `json:"trust,omitempty"`
}

// ClusterChange says what a cluster's connections will notice.
type ClusterChange struct {
	Name   string `json:"name"`
	Change Change `json:"change"`
	// Pools: identity, trust, names or connect settings changed, so that
	// every later connection is a new one.
	Pools bool `json:"pools,omitempty"`
	// Endpoints: the list of endpoints changed.
	Endpoints bool `json:"endpoints,omitempty"`
}

// RouteChange names a route that changed.
type RouteChange struct {
	Name   string `json:"name"`
	Change Change `json:"change"`
}

// Diff compares two states of the file. It is pure. A nil old is the empty
// state before the first generation.
func Diff(old, new *Config) Plan {
	first := old == nil
	if first {
		old = &Config{}
	}
	var p Plan
	diffNamed(old.Listeners, new.Listeners, func(l *listeners.Config) string { return l.Name }, func(name string, a, b *listeners.Config) {
		c := ListenerChange{Name: name, Change: change(a, b)}
		switch c.Change {
		case Removed:
			c.Drains = true
		case Changed:
			c.Drains = a.Address != b.Address || a.DefinitionFingerprint() != b.DefinitionFingerprint()
			if a.TLS != nil && b.TLS != nil {
				c.Certificates = a.TLS.IdentityFingerprint() != b.TLS.IdentityFingerprint()
				c.Trust = a.TLS.TrustFingerprint() != b.TLS.TrustFingerprint()
			}
		}
		p.Listeners = append(p.Listeners, c)
	})
	diffNamed(old.Clusters, new.Clusters, func(c *clusters.Config) string { return c.Name }, func(name string, a, b *clusters.Config) {
		c := ClusterChange{Name: name, Change: change(a, b)}
		if c.Change == Changed {
			c.Pools = a.ConnectFingerprint() != b.ConnectFingerprint()
			c.Endpoints = config.Fingerprint(a.Endpoints) != config.Fingerprint(b.Endpoints)
		}
		p.Clusters = append(p.Clusters, c)
	})
	diffNamed(old.Routes, new.Routes, func(r *routes.Config) string { return r.Name }, func(name string, a, b *routes.Config) {
		p.Routes = append(p.Routes, RouteChange{Name: name, Change: change(a, b)})
	})
	p.RoutesReordered = reordered(old.Routes, new.Routes)
	for _, s := range []struct {
		name     string
		old, new any
	}{
		{"log", old.Log, new.Log}, {"acme", old.ACME, new.ACME}, {"admin", old.Admin, new.Admin}, {"reload", old.Reload, new.Reload},
		{"drain", old.Drain, new.Drain}, {"shutdown", old.Shutdown, new.Shutdown}, {"memory", old.Memory, new.Memory},
		{"state keys", old.StateKeyFiles, new.StateKeyFiles},
	} {
		if !first && config.Fingerprint(s.old) != config.Fingerprint(s.new) {
			p.Settings = append(p.Settings, s.name)
		}
	}
	return p
}

// diffNamed calls differ for each name whose content is not the same on both
// sides: those of new in file order, then those that are gone.
func diffNamed[T any](old, new []T, name func(*T) string, differ func(name string, a, b *T)) {
	before, after := byName(old, name), byName(new, name)
	var compare config.Comparer
	for i := range new {
		b := &new[i]
		a := before[name(b)]
		if a == nil || !compare.Equal(a, b) {
			differ(name(b), a, b)
		}
	}
	for i := range old {
		if n := name(&old[i]); after[n] == nil {
			differ(n, &old[i], nil)
		}
	}
}

// byName indexes a list by its names, which Validate has found to be unique.
func byName[T any](list []T, name func(*T) string) map[string]*T {
	index := make(map[string]*T, len(list))
	for i := range list {
		index[name(&list[i])] = &list[i]
	}
	return index
}

func change[T any](a, b *T) Change {
	switch {
	case a == nil:
		return Added
	case b == nil:
		return Removed
	}
	return Changed
}

// reordered reports whether the routes that both sides have stand in another
// order on the new one.
func reordered(old, new []routes.Config) bool {
	name := func(r *routes.Config) string { return r.Name }
	common := func(list, other []routes.Config) []string {
		known := byName(other, name)
		var names []string
		for i := range list {
			if known[list[i].Name] != nil {
				names = append(names, list[i].Name)
			}
		}
		return names
	}
	return !slices.Equal(common(old, new), common(new, old))
}

// Empty reports that nothing changes.
func (p Plan) Empty() bool {
	return len(p.Listeners)+len(p.Clusters)+len(p.Routes)+len(p.Settings) == 0 && !p.RoutesReordered
}

// mostNamed is how many of a kind enumerate names: more is no line for a person.
const mostNamed = 50

// String is one line for a person: "listeners ~public, clusters +github ~jira -old, 2 routes".
func (p Plan) String() string {
	if p.Empty() {
		return "no change"
	}
	var parts, listenerNames, clusterNames []string
	for _, l := range p.Listeners {
		listenerNames = append(listenerNames, l.Change.sign()+l.Name)
	}
	for _, c := range p.Clusters {
		clusterNames = append(clusterNames, c.Change.sign()+c.Name)
	}
	if len(listenerNames) > 0 {
		parts = append(parts, "listeners "+enumerate(listenerNames, " "))
	}
	if len(clusterNames) > 0 {
		parts = append(parts, "clusters "+enumerate(clusterNames, " "))
	}
	if n := len(p.Routes); n > 0 {
		parts = append(parts, count(n, "route"))
	}
	if p.RoutesReordered {
		parts = append(parts, "routes reordered")
	}
	parts = append(parts, p.Settings...)
	return strings.Join(parts, ", ")
}

// sign is the change in a line for a person.
func (c Change) sign() string {
	return map[Change]string{Added: "+", Removed: "-", Changed: "~"}[c]
}

// enumerate joins names, of which there may be too many to name them all.
func enumerate(names []string, separator string) string {
	list := strings.Join(names[:min(len(names), mostNamed)], separator)
	if more := len(names) - mostNamed; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return list
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
