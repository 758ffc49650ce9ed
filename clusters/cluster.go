package clusters

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/mcpgateway/mcpgateway/clusters/process"
	"github.com/mcpgateway/mcpgateway/clusters/transport"
	"github.com/mcpgateway/mcpgateway/tls"
)

// Cluster is a group of interchangeable endpoints, and an http.RoundTripper
// over them. A cluster whose configuration did not change is the same object in
// the next set.
type Cluster struct {
	cfg       *Config
	connects  [32]byte // ConnectFingerprint of cfg
	opts      Options
	health    *HealthCheck         // nil: no active checks
	prober    Prober               // of health; nil without
	urls      []*url.URL           // none for a command
	connector *transport.Connector // nil for a command
	headers   []transport.Header
	balancer  balancer

	// endpoints is replaced as a whole when a name's addresses change.
	endpoints atomic.Pointer[[]*Endpoint]

	// mu guards what follows; requests never take it.
	mu        sync.Mutex
	addresses map[string]resolution // by host, for URLs that hold a name
	sets      int                   // that refer to the cluster
	running   context.Context       // of the committed cluster; nil before and after
	stopRun   context.CancelFunc
	checkers  map[*Endpoint]*running
	closed    bool
	work      sync.WaitGroup // background goroutines
}

// running is a checker and, once it runs on its own, how to stop it.
type running struct {
	*checker
	stop context.CancelFunc
}

// newCluster prepares a cluster. previous, which may be nil, is the one of the
// same name that serves now.
func newCluster(cfg *Config, previous *Cluster, opts Options) (*Cluster, error) {
	c := &Cluster{cfg: cfg, connects: cfg.ConnectFingerprint(), opts: opts, checkers: map[*Endpoint]*running{}, addresses: map[string]resolution{}}
	c.balancer.roundRobin = cfg.Balancing == "round_robin"
	for _, name := range slices.Sorted(maps.Keys(cfg.Headers)) {
		c.headers = append(c.headers, transport.Header{Name: http.CanonicalHeaderKey(name), Value: cfg.Headers[name].Text})
	}
	var err error
	if c.health, err = cfg.health(); err != nil {
		return nil, err
	}
	if c.health != nil {
		if c.prober = opts.prober(c.health.Kind); c.prober == nil {
			c.health = nil
		}
	}
	if c.health != nil && (c.health.Interval <= 0 || c.health.Timeout <= 0) || cfg.ConnectTimeout <= 0 || cfg.DNSRefresh <= 0 || cfg.MaxProcesses <= 0 || cfg.StartTimeout <= 0 {
		return nil, errors.New("the configuration lacks its defaults")
	}
	if len(cfg.Endpoints) == 0 && len(cfg.Command) == 0 {
		return nil, errors.New("neither endpoints nor a command")
	}
	for i, raw := range cfg.Endpoints {
		u, err := parseEndpoint(raw)
		if err != nil {
			return nil, fmt.Errorf("endpoints[%d]: %w", i, err)
		}
		c.urls = append(c.urls, u)
	}
	if err := c.connect(previous); err != nil {
		return nil, err
	}
	if previous != nil {
		// Only of names that both have: those are looked up again and again.
		previous.mu.Lock()
		for _, host := range c.names() {
			if r, known := previous.addresses[host]; known {
				c.addresses[host] = r
			}
		}
		previous.mu.Unlock()
	}
	return c, nil
}

// connect takes over the connector of previous if it stands for the same.
func (c *Cluster) connect(previous *Cluster) error {
	if c.IsCommand() {
		return nil
	}
	secure := c.urls[0].Scheme == "https"
	if previous != nil && previous.connector != nil && previous.connects == c.connects && (previous.connector.Identity() != nil) == secure {
		c.connector = previous.connector
		return nil
	}
	var identity *tls.Client
	if secure {
		var err error
		if identity, err = tls.NewClient(c.cfg.TLS); err != nil {
			return err
		}
	}
	opts := transport.Options{Reserve: c.opts.Reserve}
	if t := c.opts.Trace; t != nil {
		opts.Connected = t.Connected
	}
	c.connector = transport.NewConnector(c.cfg.Name, identity, transport.Settings{
		Protocols: c.cfg.Protocols, Proxy: c.cfg.Proxy,
		ConnectTimeout: c.cfg.ConnectTimeout, IdleTimeout: c.cfg.IdleTimeout, MaxConnectionAge: c.cfg.MaxConnectionAge,
	}, opts)
	return nil
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

// build makes the list of endpoints from the addresses. Endpoints of donors
// that connect in the same way are taken over; of others the state is, but for
// ill health.
// It is called with mu held, or before the cluster is shared.
func (c *Cluster) build(donors []*Endpoint) []*Endpoint {
	var list []*Endpoint
	add := func(u *url.URL, a netip.Addr, unresolved error) {
		e := c.newEndpoint(u, a, unresolved)
		for _, d := range donors {
			if d.id != e.id {
				continue
			}
			if d.connects == c.connects && (d.unresolved == nil) == (unresolved == nil) && d.acquire() {
				list = append(list, d)
				return
			}
			switch {
			case d.unresolved != nil || unresolved != nil:
			case d.state.health() == Unhealthy:
				e.inherit(d, newState(d.state.tally, c.health != nil))
			default:
				e.inherit(d, d.state)
			}
		}
		list = append(list, e)
	}
	if c.IsCommand() {
		add(nil, netip.Addr{}, nil)
	}
	for _, u := range c.urls {
		if a, ok := literal(u); ok {
			add(u, a, nil)
			continue
		}
		r := c.addresses[u.Hostname()]
		if len(r.addrs) == 0 {
			add(u, netip.Addr{}, r.err)
		}
		for _, a := range r.addrs {
			add(u, a, nil)
		}
	}
	return list
}

// newEndpoint makes an endpoint with one reference, the list's.
func (c *Cluster) newEndpoint(u *url.URL, a netip.Addr, unresolved error) *Endpoint {
	e := &Endpoint{cluster: c.cfg.Name, url: withoutQuery(u), addr: a, trace: c.opts.Trace, unresolved: unresolved, retired: make(chan struct{}), avoid: new(atomic.Int64)}
	e.state = newState(new(tally), c.health != nil)
	defer c.configure(e)
	e.refs.Store(1)
	e.connects = c.connects
	if u == nil {
		e.id = "command"
		base := c.opts.Environ
		if base == nil {
			base = os.Environ()
		}
		settings := process.Settings{Cluster: c.cfg.Name, Argv: c.cfg.Command, Dir: string(c.cfg.Dir), Environ: process.Environ(base, c.cfg.Env)}
		if t := c.opts.Trace; t != nil {
			settings.Trace = t.Process
		}
		e.command = process.NewCommand(settings)
		return e
	}
	e.id = endpointID(u, a)
	if unresolved == nil {
		to := transport.Target{Endpoint: e.id, URL: e.url, Address: hostPort(u, a)}
		e.open(c.connector, to)
		e.checks = &Endpoint{
			cluster: e.cluster, id: e.id, url: e.url, addr: a, connects: e.connects, trace: e.trace, state: e.state,
			avoid: e.avoid, retired: make(chan struct{}),
		}
		to.Check = true
		e.checks.open(c.connector, to)
		e.checks.refs.Store(1) // e's
	}
	return e
}

// configure gives an endpoint the settings that are swapped in place.
func (c *Cluster) configure(e *Endpoint) {
	if e.pool != nil {
		e.pool.SetHeaders(c.headers)
	}
	if e.command != nil {
		e.command.SetLimits(c.cfg.MaxProcesses, c.cfg.QueueTimeout)
	}
	query := c.query(e.url)
	e.query.Store(&query)
	if e.checks != nil {
		e.checks.pool.SetHeaders(c.headers)
		e.checks.query.Store(&query)
	}
}

func withoutQuery(u *url.URL) *url.URL {
	if u == nil {
		return nil
	}
	bare := *u
	bare.RawQuery, bare.ForceQuery = "", false
	return &bare
}

// query is that of an endpoint: of its URL as it is configured now, and the
// cluster's.
func (c *Cluster) query(u *url.URL) string {
	var parts []string
	for _, own := range c.urls {
		if u != nil && endpointURL(own) == endpointURL(u) && own.RawQuery != "" {
			parts = append(parts, own.RawQuery)
		}
	}
	if len(c.cfg.Query) > 0 {
		values := url.Values{}
		for name, v := range c.cfg.Query {
			values.Set(name, v.Text)
		}
		parts = append(parts, values.Encode())
	}
	return strings.Join(parts, "&")
}
