package clusters

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/mcpgateway/mcpgateway/tls"
)

// Cluster is a group of interchangeable endpoints, and an http.RoundTripper
// over them. A cluster whose configuration did not change is the same object in
// the next set.
type Cluster struct {
	*factory
	checks   checks
	balancer balancer

	// endpoints is replaced as a whole when a name's addresses change.
	endpoints atomic.Pointer[[]*Endpoint]

	// mu guards what follows; requests never take it.
	mu      sync.Mutex
	names   *names
	sets    int             // that refer to the cluster
	running context.Context // of the committed cluster; nil before and after
	stopRun context.CancelFunc
	closed  bool
	work    sync.WaitGroup // background goroutines
}

// newCluster prepares a cluster. previous, which may be nil, is the one of the
// same name that serves now.
func newCluster(cfg *Config, previous *Cluster, opts Options) (*Cluster, error) {
	f, err := newFactory(cfg, previous, opts)
	if err != nil {
		return nil, err
	}
	c := &Cluster{factory: f}
	c.checks.cluster, c.checks.checkers = c, map[*Endpoint]*checker{}
	c.balancer.roundRobin, c.balancer.checked = cfg.Balancing == "round_robin", c.health != nil
	c.names = newNames(c.urls, opts, cfg.Name)
	if previous != nil {
		// Only of names that both have: those are looked up again and again.
		previous.mu.Lock()
		c.names.take(previous.names)
		previous.mu.Unlock()
	}
	return c, nil
}

// Name is the cluster's name.
func (c *Cluster) Name() string { return c.cfg.Name }

// Config is what the cluster was made from. It must not be modified.
func (c *Cluster) Config() *Config { return c.cfg }

// TLS is the cluster's identity and trust; nil on plain text.
func (c *Cluster) TLS() *tls.Client {
	if c.connector == nil {
		return nil
	}
	return c.connector.Identity()
}

// MaySpeakHTTP2 reports whether a connection of the cluster may be one of HTTP/2.
func (c *Cluster) MaySpeakHTTP2() bool {
	if len(c.cfg.Protocols) > 0 {
		return slices.Contains(c.cfg.Protocols, "h2")
	}
	return slices.ContainsFunc(c.cfg.Endpoints, func(url string) bool { return strings.HasPrefix(url, "https:") })
}

// IsCommand reports whether the cluster is a command, whose one endpoint starts
// processes.
func (c *Cluster) IsCommand() bool { return len(c.cfg.Command) > 0 }

// Path is the path of the endpoints' URLs; "" for a command.
func (c *Cluster) Path() string {
	if len(c.urls) == 0 {
		return ""
	}
	return c.urls[0].Path
}

// Endpoints lists the endpoints in the order of the configuration. The slice
// must not be modified.
func (c *Cluster) Endpoints() []*Endpoint {
	if l := c.endpoints.Load(); l != nil {
		return *l
	}
	return nil
}

// Endpoint returns the endpoint with this ID.
func (c *Cluster) Endpoint(id string) (*Endpoint, bool) {
	for _, e := range c.Endpoints() {
		if e.id == id {
			return e, true
		}
	}
	return nil, false
}
