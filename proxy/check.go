package proxy

import (
	"context"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/proxy/mcp"
	"github.com/mcpgateway/mcpgateway/proxy/observe"
	"github.com/mcpgateway/mcpgateway/proxy/routes"
)

// Check loads the file at path and builds everything that a generation is made
// of, short of what others could notice: it binds no address, dials no upstream and
// starts no process; so what a SPIFFE agent would deliver is left out. The error is config.Errors where the file is at fault.
func Check(ctx context.Context, path string, env func(string) (string, bool)) (*config.Snapshot, error) {
	cfg, snapshot, err := Load(ctx, path, config.Options{Env: env})
	if err != nil {
		return snapshot, err
	}
	cfg.withoutSPIFFE()
	set, err := clusters.NewSet(cfg.Clusters, nil, clusters.Options{})
	if err != nil {
		return snapshot, err
	}
	defer set.Release()
	hub := mcp.NewHub(mcp.Options{})
	defer hub.Close(ctx)
	router, err := routes.NewRouter(cfg.Routes, routes.Deps{
		Clusters: set,
		MCP: func(r *routes.Config) (*mcp.Handler, error) {
			return hub.NewHandler(mcp.HandlerConfig{Route: r.Name, Config: r.MCP, Hosts: r.Match.Hosts, Clusters: set})
		},
		Ready: func() bool { return false },
	})
	if err != nil {
		return snapshot, err
	}
	defer router.Close()
	p := &preparation{shared: &shared{observer: new(observe.Observer)}, gen: &Generation{config: cfg, router: router}}
	defer p.discard()
	return snapshot, p.buildServers()
}

// Schema is the JSON Schema of the file (draft 2020-12).
func Schema() ([]byte, error) {
	return config.Schema(Config{}, "mcpgateway configuration")
}
