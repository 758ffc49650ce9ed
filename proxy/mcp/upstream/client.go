package upstream

import (
	"slices"
	"sync"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// Client is the gateway as an MCP client: what its sessions have in common. It
// remembers what endpoints were found to speak, so that only the first session
// with each asks, and has the processes that sessions share. The zero Client is
// ready for use. It may be used by several goroutines and must not be copied; its
// fields must not be changed once it is in use.
type Client struct {
	// OnMoved is told that an endpoint redirects to another path, which is asked
	// from then on. It may be nil.
	OnMoved func(cluster, endpoint, path string)
	// Memory is what the answers of servers are charged to while they are read; nil
	// has no limit.
	Memory *memory.Budget

	mu       sync.Mutex
	memories map[memoryKey]spoken

	shared sharedProcesses
	spares spares
}

// of returns what is known of an endpoint.
func (c *Client) of(cluster *clusters.Cluster, e *clusters.Endpoint) knowledge {
	return knowledge{c, memoryKey{cluster.Name(), e.ID()}}
}

// Serves returns the revisions that a cluster was found to serve: those that
// all of its endpoints do that have said so. known is false while none has.
// What is remembered stays true while the endpoint is down.
func (c *Client) Serves(cluster *clusters.Cluster) (versions []string, known bool) {
	cfg := cluster.Config().MCP
	switch {
	case cfg.Protocol != "" && cfg.Protocol != "auto":
		return []string{cfg.Protocol}, true
	case transports[forcedKind(cluster)].onlySessions:
		return spec.Initialized(), true
	}
	for _, e := range cluster.Endpoints() {
		switch served := c.of(cluster, e).get().serves(cluster); {
		case served == nil:
		case !known:
			versions, known = served, true
		default:
			versions = slices.DeleteFunc(versions, func(v string) bool { return !slices.Contains(served, v) })
		}
	}
	return versions, known
}
