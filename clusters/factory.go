package clusters

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/mcpgateway/mcpgateway/clusters/process"
	"github.com/mcpgateway/mcpgateway/clusters/transport"
	"github.com/mcpgateway/mcpgateway/tls"
)

// factory makes the endpoints of a cluster. It does not change.
type factory struct {
	cfg       *Config
	opts      Options
	health    *HealthCheck         // nil: no active checks
	prober    Prober               // of health; nil without
	connects  [32]byte             // ConnectFingerprint of cfg
	urls      []*url.URL           // none for a command
	connector *transport.Connector // nil for a command
	headers   []transport.Header
}

// newFactory returns the factory of a cluster; previous, which may be nil, is the
// cluster of the same name that serves now.
func newFactory(cfg *Config, previous *Cluster, opts Options) (*factory, error) {
	f := &factory{cfg: cfg, opts: opts, connects: cfg.ConnectFingerprint()}
	var err error
	if f.health, err = cfg.health(); err != nil {
		return nil, err
	}
	h := f.health
	if h != nil {
		if f.prober, err = opts.prober(h.Kind); err != nil {
			return nil, err
		}
	}
	if h != nil && (h.Interval <= 0 || h.Timeout <= 0) || cfg.ConnectTimeout <= 0 || cfg.DNSRefresh <= 0 || cfg.MaxProcesses <= 0 || cfg.StartTimeout <= 0 {
		return nil, errors.New("the configuration lacks its defaults")
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Headers)) {
		f.headers = append(f.headers, transport.Header{Name: http.CanonicalHeaderKey(name), Value: cfg.Headers[name].Text})
	}
	if len(cfg.Endpoints) == 0 && len(cfg.Command) == 0 {
		return nil, errors.New("neither endpoints nor a command")
	}
	for i, raw := range cfg.Endpoints {
		u, err := parseEndpoint(raw)
		if err != nil {
			return nil, fmt.Errorf("endpoints[%d]: %w", i, err)
		}
		f.urls = append(f.urls, u)
	}
	return f, f.connect(previous)
}

// connect takes over the connector of previous, which may be nil, if it stands for
// the same.
func (f *factory) connect(previous *Cluster) error {
	if len(f.cfg.Command) > 0 {
		return nil
	}
	secure := f.urls[0].Scheme == "https"
	if previous != nil && previous.connector != nil && previous.connects == f.connects && (previous.connector.Identity() != nil) == secure {
		f.connector = previous.connector
		return nil
	}
	var identity *tls.Client
	if secure {
		var err error
		if identity, err = tls.NewClient(f.cfg.TLS); err != nil {
			return err
		}
	}
	f.connector = transport.NewConnector(f.cfg.Name, identity, transport.Settings{
		Protocols: f.cfg.Protocols, Proxy: f.cfg.Proxy,
		ConnectTimeout: f.cfg.ConnectTimeout, IdleTimeout: f.cfg.IdleTimeout, MaxConnectionAge: f.cfg.MaxConnectionAge,
	}, transport.Options{Reserve: f.opts.Reserve, Connected: f.opts.Trace.Connected})
	return nil
}

// build makes the list of endpoints from the addresses. Endpoints of donors
// that connect in the same way are taken over; of others the state is, but for
// ill health. It is called with the cluster's mu held, or before the cluster is shared.
func (f *factory) build(names *names, donors []*Endpoint) []*Endpoint {
	var list []*Endpoint
	add := func(u *url.URL, a netip.Addr, unresolved error) {
		id := endpointID(u, a)
		i := slices.IndexFunc(donors, func(d *Endpoint) bool {
			return d.id == id && d.connects == f.connects && (d.unresolved == nil) == (unresolved == nil) && d.acquire()
		})
		if i >= 0 {
			list = append(list, donors[i])
			return
		}
		e := f.newEndpoint(id, u, a, unresolved)
		for _, d := range donors {
			switch {
			case d.id != id || d.unresolved != nil || unresolved != nil:
			case d.state.health() == Unhealthy:
				e.inherit(d, newState(d.state.tally, f.health != nil))
			default:
				e.inherit(d, d.state)
			}
		}
		list = append(list, e)
	}
	if len(f.cfg.Command) > 0 {
		add(nil, netip.Addr{}, nil)
	}
	for _, u := range f.urls {
		if a, ok := literal(u); ok {
			add(u, a, nil)
			continue
		}
		r := names.answers[u.Hostname()]
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
func (f *factory) newEndpoint(id string, u *url.URL, a netip.Addr, unresolved error) *Endpoint {
	e := f.bare(id, withoutQuery(u), a, newState(new(tally), f.health != nil), new(atomic.Int64))
	e.unresolved = unresolved
	switch {
	case u == nil:
		e.command = f.command()
	case unresolved == nil:
		to := transport.Target{Endpoint: id, URL: e.url, Address: hostPort(u, a)}
		e.pool = transport.NewPool(f.connector, to, (*exchanges)(e))
		e.checks = f.bare(id, e.url, a, e.state, e.avoid) // with e's reference
		to.Check = true
		e.checks.pool = transport.NewPool(f.connector, to, (*exchanges)(e.checks))
	}
	f.configure(e)
	return e
}

// bare makes an endpoint that has no way to its server. The endpoint outlives f, and
// must not keep it: f has the secrets of one generation.
func (f *factory) bare(id string, u *url.URL, a netip.Addr, s *state, avoid *atomic.Int64) *Endpoint {
	e := &Endpoint{
		cluster: f.cfg.Name, id: id, url: u, addr: a, connects: f.connects, request: f.opts.Trace.Request,
		state: s, avoid: avoid, retired: make(chan struct{}),
	}
	e.refs.Store(1)
	return e
}

func (f *factory) command() *process.Command {
	base := f.opts.Environ
	if base == nil {
		base = os.Environ()
	}
	return process.NewCommand(process.Settings{
		Cluster: f.cfg.Name, Argv: f.cfg.Command, Dir: string(f.cfg.Dir), Environ: process.Environ(base, f.cfg.Env), Trace: f.opts.Trace.Process,
	})
}

// exchanges are those of an endpoint's pool, which keep it alive.
type exchanges Endpoint

func (x *exchanges) Begin() bool {
	if !(*Endpoint)(x).acquire() {
		return false
	}
	x.state.active.Add(1)
	return true
}

func (x *exchanges) End() {
	x.state.active.Add(-1)
	(*Endpoint)(x).release()
}

// inherit has e take over what is known about d, the same endpoint; s is the state
// that follows from that of d.
func (e *Endpoint) inherit(d *Endpoint, s *state) {
	e.state = s
	if e.command != nil {
		e.command.Succeed(d.command)
	}
	if e.checks != nil {
		e.checks.state = s
	}
}

// configure gives an endpoint the settings that are swapped in place.
func (f *factory) configure(e *Endpoint) {
	query := f.query(e.url)
	e.query.Store(&query)
	if e.command != nil {
		e.command.SetLimits(f.cfg.MaxProcesses, f.cfg.QueueTimeout)
	}
	if e.checks != nil {
		e.pool.SetHeaders(f.headers)
		e.checks.pool.SetHeaders(f.headers)
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
func (f *factory) query(u *url.URL) string {
	var parts []string
	for _, own := range f.urls {
		if u != nil && endpointURL(own) == endpointURL(u) && own.RawQuery != "" {
			parts = append(parts, own.RawQuery)
		}
	}
	if len(f.cfg.Query) > 0 {
		values := url.Values{}
		for name, v := range f.cfg.Query {
			values.Set(name, v.Text)
		}
		parts = append(parts, values.Encode())
	}
	return strings.Join(parts, "&")
}
