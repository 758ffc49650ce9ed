package session

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/slot"
)

// Settings are what a generation says to the sessions of a route. They are not
// changed once a Route is made of them.
type Settings struct {
	// Name is the route's: sessions are bound to it.
	Name string
	// Members are the clusters behind the route, in the order of the file.
	Members []federation.Member
	// Namespace says when names carry their cluster's prefix: auto, always or
	// never.
	Namespace string
	// Versions are the revisions that clients are offered; none: those that every
	// member was found to serve.
	Versions []string
	Timeouts Timeouts
	Limits   Limits
	Resume   Resume
	// Clusters are the generation's. Each member is one of them.
	Clusters *clusters.Set
}

// Route is one route of one generation, as sessions and calls use it. It is
// immutable.
type Route struct {
	Settings
	slots slot.Generation // as the slots of sessions see it
	// fingerprint says what names clients see, and where they come from.
	fingerprint string
	registry    *Registry
}

// NewRoute prepares a route of a new generation. It touches no session: Commit
// puts the route in force. It fails when a member is none of the clusters.
func (r *Registry) NewRoute(settings Settings) (*Route, error) {
	var fingerprint strings.Builder
	fmt.Fprintf(&fingerprint, "%s", settings.Namespace)
	for _, ref := range settings.Members {
		cluster, ok := settings.Clusters.Get(ref.Name)
		if !ok {
			return nil, fmt.Errorf("route %s: there is no cluster %q", settings.Name, ref.Name)
		}
		c := cluster.Config()
		fmt.Fprintf(&fingerprint, " %q", append([]string{ref.Name, ref.EffectivePrefix()}, append(slices.Clone(c.Endpoints), c.Command...)...))
		if !ref.Tools.All() {
			fmt.Fprintf(&fingerprint, " %q-%q", ref.Tools.Allow, ref.Tools.Deny)
		}
	}
	route := &Route{Settings: settings, fingerprint: fingerprint.String(), registry: r, slots: slot.Generation{
		Members:  settings.Members,
		Clusters: settings.Clusters,
		List:     settings.Timeouts.List,
		Message:  int64(settings.Limits.Message),
		Result:   int64(settings.Limits.Result),
	}}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq++
	route.slots.Seq = r.seq
	return route, nil
}

// StreamBegun counts a stream to a client until done is called.
func (r *Route) StreamBegun() (done func()) {
	r.registry.admission.addStreams(r.Name, 1)
	r.registry.opts.Trace.StreamOpened(r.Name)
	return func() {
		r.registry.admission.addStreams(r.Name, -1)
		r.registry.opts.Trace.StreamClosed(r.Name)
	}
}

// Memory is the budget that what clients send is charged to; nil has no limit.
func (r *Route) Memory() *memory.Budget { return r.registry.opts.Memory }

// newerThan compares the generations of two routes.
func (r *Route) newerThan(other *Route) bool { return r.slots.Seq > other.slots.Seq }

// QueueBytes bounds what waits for a slow reader: a few of the longest messages.
func (r *Route) QueueBytes() int { return 4 * int(r.Limits.Message) }

// member returns a cluster of the route.
func (r *Route) member(name string) (federation.Member, bool) {
	return federation.Find(r.Members, name)
}
