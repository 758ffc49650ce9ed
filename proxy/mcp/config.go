package mcp

import (
	"fmt"
	"slices"

	"github.com/mcpgateway/mcpgateway/internal/hostname"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/downstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/session"
)

// Config is the block mcp of a route.
type Config struct {
	Clusters       []federation.Member `yaml:"clusters" required:"true" doc:"The clusters behind this endpoint: names, or objects."`
	Namespace      string              `yaml:"namespace" default:"auto" enum:"auto,always,never" doc:"When names carry their cluster's prefix: auto once there are several clusters; never: the first in file order owns a name."`
	Versions       []string            `yaml:"versions" enum:"2026-07-28,2025-11-25,2025-06-18,2025-03-26" example:"[2025-11-25, 2025-06-18]" doc:"The revisions that clients are offered. Default: those that every cluster was found to serve."`
	SSE            Endpoint            `yaml:"sse" doc:"The transport of revision 2024-11-05, HTTP with server-sent events, beside Streamable HTTP. Off without a path."`
	WebSocket      Endpoint            `yaml:"websocket" doc:"JSON-RPC in text frames. Off without a path."`
	AllowedHosts   []string            `yaml:"allowed_hosts" example:"[mcp.example.com]" doc:"Hosts that are served; *. before a name stands for one or more labels. Default: the route's match.hosts, else on loopback connections only loopback names."`
	AllowedOrigins []string            `yaml:"allowed_origins" example:"[\"https://app.example.com\"]" doc:"Origins that browsers may call from; scheme, host and port count. Default: the origin of the request itself, where match.hosts or allowed_hosts name its host, and loopback on loopback connections."`
	ForwardHeaders []string            `yaml:"forward_headers" example:"[X-Tenant]" doc:"Client headers that may go upstream, besides the specification's own."`
	Resource       *filter.Resource    `yaml:"resource" doc:"Tell clients where to get a token (RFC 9728). Needs auth.jwt."`
	Timeouts       session.Timeouts    `yaml:"timeouts" doc:"How long is waited for what."`
	Limits         session.Limits      `yaml:"limits" doc:"How much is held at once."`
	Resume         session.Resume      `yaml:"resume" doc:"What a session keeps of its streams, so that a client whose connection broke can fetch the rest."`
}

// Endpoint is where another transport of the same route is served.
type Endpoint struct {
	Path string `yaml:"path" example:"/sse" doc:"The whole path."`
}

// Paths are those that the route serves beside its match.path, by the field
// that makes them.
func (c *Config) Paths() map[string][]string {
	paths := map[string][]string{}
	if c.SSE.Path != "" {
		paths["sse.path"] = []string{c.SSE.Path, c.SSE.Path + downstream.MessageSuffix}
	}
	if c.WebSocket.Path != "" {
		paths["websocket.path"] = []string{c.WebSocket.Path}
	}
	return paths
}

// Names reports whether the route names the cluster.
func (c *Config) Names(cluster string) bool {
	_, ok := federation.Find(c.Clusters, cluster)
	return ok
}

// ToolName is what sessions that begin with this configuration call a tool of
// the cluster; empty when they do not see it.
func (c *Config) ToolName(cluster, own string) string {
	return federation.ToolName(c.Namespace, c.Clusters, cluster, own)
}

// Validate checks what the tags cannot say.
func (c *Config) Validate(s *config.Scope) {
	if len(c.Clusters) == 0 && s.IsSet("clusters") {
		s.Errorf("clusters", "no cluster; an mcp route needs at least one")
	}
	names, prefixes := map[string]int{}, map[string]int{}
	for i, ref := range c.Clusters {
		if ref.Name == "" {
			continue
		}
		at := fmt.Sprintf("clusters[%d]", i)
		if first, dup := names[ref.Name]; dup {
			s.Errorf(at, "the cluster %q is named twice, first by clusters[%d]", ref.Name, first)
			continue
		}
		names[ref.Name] = i
		if first, dup := prefixes[ref.EffectivePrefix()]; dup {
			s.Errorf(at, "the prefix %q is taken by clusters[%d]; give one of them another prefix", ref.EffectivePrefix(), first)
			continue
		}
		prefixes[ref.EffectivePrefix()] = i
	}
	for i, version := range c.Versions {
		if slices.Contains(c.Versions[:i], version) {
			s.Errorf(fmt.Sprintf("versions[%d]", i), "%s is named twice", version)
		}
	}
	for i, host := range c.AllowedHosts {
		if host == "*" {
			s.Errorf(fmt.Sprintf("allowed_hosts[%d]", i), `"*" is every host, a name that an attacker rebound to this address included; name the hosts`)
		} else if _, err := hostname.ParsePattern(host); err != nil {
			s.Errorf(fmt.Sprintf("allowed_hosts[%d]", i), "%q %v", host, err)
		}
	}
	for i, origin := range c.AllowedOrigins {
		if origin == "*" || origin == "null" {
			s.Errorf(fmt.Sprintf("allowed_origins[%d]", i), "%q would let every web page call; name the origins", origin)
			continue
		}
		if err := downstream.CheckOrigin(origin); err != nil {
			s.Errorf(fmt.Sprintf("allowed_origins[%d]", i), "%q %v", origin, err)
		}
	}
	for i, name := range c.ForwardHeaders {
		if err := downstream.CheckForwarded(name); err != nil {
			s.Errorf(fmt.Sprintf("forward_headers[%d]", i), "%v", err)
		}
	}
	if c.Timeouts.CallMax < c.Timeouts.CallIdle && s.IsSet("timeouts") {
		s.Warnf("timeouts", "call_max is shorter than call_idle, which therefore never applies")
	}
}
