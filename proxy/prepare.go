package proxy

import (
	"context"
	"fmt"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/proxy/admin"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/proxy/logging"
	"github.com/mcpgateway/mcpgateway/proxy/mcp"
	"github.com/mcpgateway/mcpgateway/proxy/routes"
	"github.com/mcpgateway/mcpgateway/tls"
)

// A preparation is a generation that serves nothing yet. Once it is complete either
// commit puts it in force, or discard takes every trace of it away. It belongs to
// the goroutine that runs reloads.
type preparation struct {
	shared *shared
	gen    *Generation
	old    *Generation // nil before the first
	plan   Plan
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

func (p *preparation) onDiscard(f func()) { p.undo = append(p.undo, f) }

// discard undoes the preparation, the last step first.
func (p *preparation) discard() {
	for i := len(p.undo) - 1; i >= 0; i-- {
		p.undo[i]()
	}
}

// prepare builds everything of plan that may fail. Nothing that serves is touched.
func prepare(ctx context.Context, s *shared, plan Plan, cfg *Config, snapshot *config.Snapshot, old *Generation) (_ *preparation, err error) {
	p := &preparation{shared: s, old: old, plan: plan, gen: &Generation{config: cfg, snapshot: snapshot}}
	defer func() {
		if err != nil {
			p.discard()
		}
	}()
	// What does not change is taken over from before.
	before := old
	if before == nil {
		before = &Generation{config: new(Config)}
	}
	if old == nil || config.Fingerprint(old.config.Log) != config.Fingerprint(cfg.Log) {
		if err = p.openLog(); err != nil {
			return nil, err
		}
	}
	warning, err := s.acme.Prepare(cfg.ACME)
	if err != nil {
		return nil, fmt.Errorf("acme: %w", err)
	}
	if warning != "" {
		p.warnings = append(p.warnings, warning)
	}
	if err = p.buildClusters(before.clusters); err != nil {
		return nil, err
	}
	if err = p.buildRoutes(before.router); err != nil {
		return nil, err
	}
	if err = p.buildServers(); err != nil {
		return nil, err
	}
	p.gen.certificates = p.gen.describe()
	warm(ctx, s.observer.Logs, p.gen.clusters, s.reportWaitAfter, cfg.Reload.WarmTimeout)
	if err = ctx.Err(); err != nil {
		return nil, fmt.Errorf("preparing the generation: %w", err)
	}
	p.warnings = append(p.warnings, unhealthy(p.plan, p.gen.clusters)...)
	p.warnings = append(p.warnings, shortOfDescriptors(cfg, s.reserve)...)
	// Binding comes last: it is what others could notice.
	if err = p.bindSockets(); err != nil {
		return nil, err
	}
	if err = p.bindAdmin(before.config.Admin); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *preparation) openLog() (err error) {
	logs := p.shared.observer.Logs
	if p.log, err = logs.Open(p.gen.config.Log); err != nil {
		return err
	}
	p.onDiscard(func() { logs.Discard(p.log) })
	if p.old == nil {
		// Nothing serves yet: what the preparation has to say, such as an
		// endpoint's health, goes where it was asked for.
		logs.Swap(p.log)
	}
	return nil
}

func (p *preparation) buildClusters(previous *clusters.Set) (err error) {
	s := p.shared
	if p.gen.clusters, err = clusters.NewSet(p.gen.config.Clusters, previous, clusters.Options{
		Probers: map[string]clusters.Prober{"mcp": s.prober},
		Trace:   s.observer.Clusters, Reserve: s.reserve,
	}); err != nil {
		return err
	}
	p.onDiscard(p.gen.clusters.Release)
	return nil
}

func (p *preparation) buildRoutes(previous *routes.Router) (err error) {
	s := p.shared
	p.gen.router, err = routes.NewRouter(p.gen.config.Routes, routes.Deps{
		Clusters: p.gen.clusters,
		MCP: func(r *routes.Config) (*mcp.Handler, error) {
			h, err := s.hub.NewHandler(mcp.HandlerConfig{Route: r.Name, Config: r.MCP, Hosts: r.Match.Hosts, Clusters: p.gen.clusters})
			if err != nil {
				return nil, fmt.Errorf("route %s: %w", r.Name, err)
			}
			p.gen.mcp = append(p.gen.mcp, h)
			return h, nil
		},
		Memory:    s.budget,
		Ready:     s.isReady,
		AuthTrace: s.observer.Auth,
		Previous:  previous,
	})
	if err != nil {
		return err
	}
	p.onDiscard(p.gen.router.Close)
	return nil
}

// buildServers carries over the servers whose definition is unchanged and
// builds the others. Sockets are not touched yet.
func (p *preparation) buildServers() error {
	cfg := p.gen.config
	for i := range cfg.Listeners {
		l := &cfg.Listeners[i]
		before := p.old.find(l.Name)
		carried := before != nil && before.config.Address == l.Address &&
			before.config.DefinitionFingerprint() == l.DefinitionFingerprint()
		snapshot, err := p.buildTLS(l, before)
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
			s.dispatcher = &dispatcher{generations: &p.shared.generations, listener: l.Name}
			handler := answerChallenges(p.shared.acme, l, p.shared.observer.Access(l.Name, s.dispatcher))
			s.server = listeners.NewServer(l, snapshot, handler, p.shared.observer.Listeners)
			s.server.ChargeTo(p.shared.budget)
			p.onDiscard(s.server.Close)
		}
		p.gen.served = append(p.gen.served, s)
	}
	return nil
}

// buildTLS returns nil for plain text, and the very snapshot in force where
// nothing changed.
func (p *preparation) buildTLS(l *listeners.Config, before *served) (*tls.ServerSnapshot, error) {
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
	snapshot, err := tls.NewServerSnapshot(l.TLS, previous, p.shared.managed())
	if err != nil {
		return nil, fmt.Errorf("listener %s: %w", l.Name, err)
	}
	return snapshot, nil
}
