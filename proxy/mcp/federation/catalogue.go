package federation

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"sync"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/jsonrpc"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

const (
	// catalogueLimit bounds what is remembered of one list of one cluster.
	catalogueLimit = 10000
	// MaxName is the longest name or URI that is remembered, in bytes.
	MaxName = 1 << 10
)

// Catalogue remembers what the clusters of each route were last seen to have:
// to find the owner of a bare name, and to tell an operator what a change of
// the file renames. The servers may have changed since: no list is answered from it.
type Catalogue struct {
	mu    sync.Mutex
	known map[place]*known
}

// place is a cluster of a route.
type place struct{ route, cluster string }

// known is what one cluster was last seen to have.
type known struct {
	names    map[string][]string            // by method, in the cluster's order
	index    map[string]map[string]struct{} // the same, as sets
	tools    map[string]fingerprint         // of the definitions
	reported map[[sha256.Size]byte]struct{}
	refused  map[omissionKey]*omissions
}

// NewCatalogue returns an empty one.
func NewCatalogue() *Catalogue { return &Catalogue{known: map[place]*known{}} }

func (c *Catalogue) entry(route, cluster string) *known {
	at := place{route, cluster}
	k := c.known[at]
	if k == nil {
		k = &known{
			names:    map[string][]string{},
			index:    map[string]map[string]struct{}{},
			tools:    map[string]fingerprint{},
			reported: map[[sha256.Size]byte]struct{}{},
			refused:  map[omissionKey]*omissions{},
		}
		c.known[at] = k
	}
	return k
}

// Learn notes names of a list. whole says that these are all; else they join
// those known already.
func (c *Catalogue) Learn(route, cluster string, kind spec.List, names []string, whole bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.entry(route, cluster)
	if whole || k.index[kind.Method] == nil {
		k.names[kind.Method] = nil
		k.index[kind.Method] = make(map[string]struct{}, len(names))
	}
	index := k.index[kind.Method]
	for _, name := range names {
		if _, dup := index[name]; dup || len(index) >= catalogueLimit || len(name) > MaxName {
			continue
		}
		index[name] = struct{}{}
		k.names[kind.Method] = append(k.names[kind.Method], name)
	}
}

// Tool notes the definition of a tool, and returns the hashes of the one before
// and of this one when they differ. It returns each change once: otherwise a server
// that lists two tools of one name on two pages would change with each list. modern
// reports whether it came for a client whose revision has no sessions.
func (c *Catalogue) Tool(route, cluster, name string, definition jsonrpc.Value, modern bool) (before, after string) {
	if modern {
		definition = withoutBooleans(definition) // as clients with sessions get it
	}
	// A server may send a long one: calls of other routes do not wait for the
	// hashing.
	sum := c.fingerprint(route, cluster, name).of(definition)
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.entry(route, cluster)
	old, seen := k.tools[name]
	if !seen && (len(k.tools) >= catalogueLimit || len(name) > MaxName) {
		return "", ""
	}
	k.tools[name] = sum
	if !seen || old.content == sum.content {
		return "", ""
	}
	before, after = hex.EncodeToString(old.content[:8]), hex.EncodeToString(sum.content[:8])
	if !k.first("tool " + name + " changed " + before + " " + after) {
		return "", ""
	}
	return before, after
}

// fingerprint returns that of the definition before.
func (c *Catalogue) fingerprint(route, cluster, name string) fingerprint {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.entry(route, cluster).tools[name]
}

// fingerprint tells definitions apart: as they were sent, and what they say.
// Some servers write the same in another way for clients of another revision, or
// in each answer.
type fingerprint struct{ sent, content [sha256.Size]byte }

// of returns the fingerprint of a definition that may be the same as the one
// before.
func (f fingerprint) of(definition jsonrpc.Value) fingerprint {
	sent := sha256.Sum256(definition.Raw())
	if sent == f.sent {
		return f
	}
	return fingerprint{sent, definition.Digest()}
}

// FirstReport reports whether a text about a cluster is reported for the first time:
// every list of every session would repeat it.
func (c *Catalogue) FirstReport(route, cluster, what string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.entry(route, cluster).first(what)
}

// first does what FirstReport does.
func (k *known) first(what string) bool {
	sum := sha256.Sum256([]byte(what))
	if _, dup := k.reported[sum]; dup || len(k.reported) >= catalogueLimit {
		return false
	}
	k.reported[sum] = struct{}{}
	return true
}

// Has reports whether the cluster was last seen to have the name.
func (c *Catalogue) Has(route, cluster, method, name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.known[place{route, cluster}]
	if k == nil {
		return false
	}
	_, ok := k.index[method][name]
	return ok
}

// ToolNames returns the tools of each cluster of a route.
func (c *Catalogue) ToolNames(route string) map[string][]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string][]string{}
	for at, k := range c.known {
		if at.route == route {
			all[at.cluster] = slices.Clone(k.names[spec.ToolsList])
		}
	}
	return all
}

// Keep forgets every route, and every cluster of a route, that is not named.
func (c *Catalogue) Keep(clusters map[string][]string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.known, func(at place, _ *known) bool { return !slices.Contains(clusters[at.route], at.cluster) })
}
