package upstream

import "github.com/mcpgateway/mcpgateway/clusters"

// Prober makes the health checks of kind mcp. It implements clusters.Prober.
type Prober struct {
	transports *Transports
}

// NewProber returns a Prober whose sessions share what transports remembers;
// nil remembers nothing.
func NewProber(transports *Transports) *Prober { return &Prober{transports} }

// NewProbe returns the health check of one endpoint.
func (p *Prober) NewProbe(c *clusters.Cluster, e *clusters.Endpoint) clusters.Probe {
	panic("being written")
}
