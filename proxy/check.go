package proxy

import (
	"context"

	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/proxy/mcp"
	"github.com/mcpgateway/mcpgateway/proxy/observe"
)

// Check loads the file at path and builds everything that a generation is made
// of, short of what others could notice: it binds no address, dials no upstream and
// starts no process; so what a SPIFFE agent would deliver is left out. The error is
// config.Errors where the file is at fault.
func Check(ctx context.Context, path string, env func(string) (string, bool)) (*config.Snapshot, error) {
	cfg, snapshot, err := Load(ctx, path, config.Options{Env: env})
	if err != nil {
		return snapshot, err
	}
	cfg.withoutSPIFFE()
	hub := mcp.NewHub(mcp.Options{})
	defer hub.Close(ctx)
	p := &preparation{shared: &shared{observer: new(observe.Observer), hub: hub}, gen: &Generation{config: cfg}}
	defer p.discard()
	if err := p.buildClusters(nil); err != nil {
		return snapshot, err
	}
	if err := p.buildRoutes(nil); err != nil {
		return snapshot, err
	}
	return snapshot, p.buildServers()
}

// Schema is the JSON Schema of the file (draft 2020-12).
func Schema() ([]byte, error) {
	return config.Schema(Config{}, "mcpgateway configuration")
}
