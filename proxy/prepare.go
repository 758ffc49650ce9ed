package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/proxy/admin"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/proxy/logging"
	"github.com/mcpgateway/mcpgateway/proxy/mcp"
	"github.com/mcpgateway/mcpgateway/proxy/routes"
	"github.com/mcpgateway/mcpgateway/tls"
)

// A prepared generation is complete and serves nothing. Either commit puts it
// in force, or discard takes every trace of it away.
type prepared struct {
	gen  *Generation
	old  *Generation
	plan Plan
	// swaps are new certificates and trust for servers that are carried over.
	swaps []tlsSwap
	// log and admin are nil where nothing changed.
	log   *logging.Sink
	admin *admin.Server
	// warnings are what does not keep the generation from serving.
	warnings []string

	undo []func()
}

// tlsSwap replaces the TLS snapshot of a server that is carried over.
type tlsSwap struct {
	server     *listeners.Server
	dispatcher *dispatcher
	snapshot   *tls.ServerSnapshot
	// trust says that open peers are verified again.
	trust bool
}

func (p *prepared) onDiscard(f func()) { p.undo = append(p.undo, f) }

// discard undoes the preparation, the last step first.
func (p *prepared) discard() {
	for i := len(p.undo) - 1; i >= 0; i-- {
		p.undo[i]()
	}
}

// prepare builds everything of plan that may fail. Nothing that serves is touched.
func (g *Gateway) prepare(ctx context.Context, plan Plan, cfg *Config, snapshot *config.Snapshot, old *Generation) (_ *prepared, err error) {
	p := &prepared{old: old, plan: plan, gen: &Generation{config: cfg, snapshot: snapshot}}
	defer func() {
		if err != nil {
			p.discard()
		}
	}()
	var oldConfig *Config
	var oldClusters *clusters.Set
	var oldRouter *routes.Router
	if old != nil {
		oldConfig, oldClusters, oldRouter = old.config, old.clusters, old.router
	}

	if oldConfig == nil || config.Fingerprint(oldConfig.Log) != config.Fingerprint(cfg.Log) {
		if p.log, err = g.observer.Logs.Open(cfg.Log); err != nil {
			return nil, err
		}
		p.onDiscard(func() { g.observer.Logs.Discard(p.log) })
		if old == nil {
			// Nothing serves yet: what the preparation has to say, such as an
			// endpoint's health, goes where it was asked for.
			g.observer.Logs.Swap(p.log)
		}
	}
	warning, err := g.acme.Prepare(cfg.ACME)
	if err != nil {
		return nil, fmt.Errorf("acme: %w", err)
	}
	if warning != "" {
		p.warnings = append(p.warnings, warning)
	}
	if p.gen.clusters, err = clusters.NewSet(cfg.Clusters, oldClusters, g.clusterOptions()); err != nil {
		return nil, err
	}
	p.onDiscard(p.gen.clusters.Release)
	if err = g.prepareRoutes(p, oldRouter); err != nil {
		return nil, err
	}
	if err = g.prepareServers(p); err != nil {
		return nil, err
	}
	p.gen.certificates = p.gen.describe()
	g.warm(ctx, p.gen.clusters, cfg.Reload.WarmTimeout)
	if err = ctx.Err(); err != nil {
		return nil, fmt.Errorf("preparing the generation: %w", err)
	}
	p.warnings = append(p.warnings, unhealthy(p.plan, p.gen.clusters)...)
	p.warnings = append(p.warnings, shortOfDescriptors(cfg, g.reserve)...)
	// Binding comes last: it is what others could notice.
	if err = g.prepareSockets(p); err != nil {
		return nil, err
	}
	if err = g.prepareAdmin(p, oldConfig); err != nil {
		return nil, err
	}
	return p, nil
}

func (g *Gateway) clusterOptions() clusters.Options {
	return clusters.Options{Prober: g.prober, Trace: g.observer.Clusters, Reserve: g.reserve}
}

func (g *Gateway) prepareRoutes(p *prepared, previous *routes.Router) (err error) {
	p.gen.router, err = routes.NewRouter(p.gen.config.Routes, routes.Deps{
		Clusters: p.gen.clusters,
		MCP: func(r *routes.Config) (*mcp.Handler, error) {
			h, err := g.hub.NewHandler(mcp.HandlerConfig{Route: r.Name, Config: r.MCP, Hosts: r.Match.Hosts, Clusters: p.gen.clusters})
			if err != nil {
				return nil, fmt.Errorf("route %s: %w", r.Name, err)
			}
			p.gen.mcp = append(p.gen.mcp, h)
			return h, nil
		},
		Memory:    g.budget,
		Ready:     g.isReady,
		AuthTrace: g.observer.Auth,
		Previous:  previous,
	})
	if err != nil {
		return err
	}
	p.onDiscard(p.gen.router.Close)
	p.gen.handlers = map[string]http.Handler{}
	for _, l := range p.gen.config.Listeners {
		p.gen.handlers[l.Name] = p.gen.router.Handler(l.Name)
	}
	return nil
}

// prepareServers carries over the servers whose definition is unchanged and
// builds the others. Sockets are not touched yet.
func (g *Gateway) prepareServers(p *prepared) error {
	cfg := p.gen.config
	for i := range cfg.Listeners {
		l := &cfg.Listeners[i]
		before := p.old.find(l.Name)
		carried := before != nil && before.config.Address == l.Address &&
			before.config.DefinitionFingerprint() == l.DefinitionFingerprint()
		snapshot, err := g.prepareTLS(l, before)
		if err != nil {
			return err
		}
		s := served{config: l, tls: snapshot}
		if carried {
			s.server, s.dispatcher = before.server, before.dispatcher
			if snapshot != before.tls {
				p.swaps = append(p.swaps, tlsSwap{
					server: s.server, dispatcher: s.dispatcher, snapshot: snapshot,
					trust: l.TLS.TrustFingerprint() != before.config.TLS.TrustFingerprint(),
				})
			}
		} else {
			s.dispatcher = &dispatcher{gateway: g, listener: l.Name}
			s.server = listeners.NewServer(l, snapshot, g.challenged(l, g.observer.Access(l.Name, s.dispatcher)), g.observer.Listeners)
			s.server.ChargeTo(g.budget)
			p.onDiscard(s.server.Close)
		}
		p.gen.served = append(p.gen.served, s)
	}
	return nil
}

// prepareTLS returns nil for plain text, and the very snapshot in force where
// nothing changed.
func (g *Gateway) prepareTLS(l *listeners.Config, before *served) (*tls.ServerSnapshot, error) {
	if l.TLS == nil {
		return nil, nil
	}
	var previous *tls.ServerSnapshot
	if before != nil && before.config.TLS != nil {
		if config.Fingerprint(before.config.TLS) == config.Fingerprint(l.TLS) {
			return before.tls, nil
		}
		previous = before.tls
	}
	snapshot, err := tls.NewServerSnapshot(l.TLS, previous, g.managed())
	if err != nil {
		return nil, fmt.Errorf("listener %s: %w", l.Name, err)
	}
	return snapshot, nil
}

// prepareSockets binds the addresses that are not held yet. Their acceptors
// start at commit, so a connection that comes early waits in the backlog.
func (g *Gateway) prepareSockets(p *prepared) error {
	var secret []byte
	if keys := p.gen.config.stateKeys(); len(keys) > 0 {
		secret = keys[0]
	}
	p.onDiscard(g.sockets.UseSecret(secret))
	held := map[*listeners.Socket]bool{}
	if p.old != nil {
		for _, s := range p.old.served {
			held[s.socket] = true
		}
	}
	for i := range p.gen.served {
		s := &p.gen.served[i]
		if err := g.prepareSocket(p, s, held); err != nil {
			return err
		}
		for _, other := range p.gen.served[:i] {
			if other.socket == s.socket {
				// Two spellings that only the system knows to be one.
				return fmt.Errorf("listener %s: %s is also the address of listener %s (%s)", s.config.Name, s.config.Address, other.config.Name, other.config.Address)
			}
		}
	}
	return nil
}

// anyPortTries bounds the search for a port, where the kernel picks it, that is
// free for TCP and for UDP.
const anyPortTries = 20

func (g *Gateway) prepareSocket(p *prepared, s *served, held map[*listeners.Socket]bool) error {
	for try := 1; ; try++ {
		err := g.bind(p, s, held)
		if err == nil {
			return nil
		}
		if try == anyPortTries || !strings.HasSuffix(s.config.Address, ":0") || !errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("listener %s: %w", s.config.Name, err)
		}
	}
}

func (g *Gateway) bind(p *prepared, s *served, held map[*listeners.Socket]bool) (err error) {
	giveUp := func() {}
	if before := p.old.find(s.config.Name); before != nil && before.config.Address == s.config.Address {
		s.socket = before.socket
	} else {
		if s.socket, err = g.sockets.Bind(s.config.Address); err != nil {
			return err
		}
		if !held[s.socket] {
			giveUp = s.socket.Close
		}
	}
	if slices.Contains(s.config.Protocols, "h3") {
		undo, err := s.socket.BindQUIC()
		if err != nil {
			giveUp()
			return err
		}
		p.onDiscard(undo)
	}
	p.onDiscard(giveUp)
	return nil
}

func (g *Gateway) prepareAdmin(p *prepared, old *Config) (err error) {
	c := p.gen.config.Admin
	if c == nil || (old != nil && old.Admin != nil && old.Admin.Address == c.Address) {
		return nil
	}
	if p.admin, err = admin.Listen(*c, g, g.metricsServed); err != nil {
		return err
	}
	p.onDiscard(p.admin.Unbind)
	return nil
}
