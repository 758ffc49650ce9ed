package mcp

import (
	"fmt"
	"slices"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/hostname"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/downstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/eventstream"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/federation"
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
	Timeouts       Timeouts            `yaml:"timeouts" doc:"How long is waited for what."`
	Limits         Limits              `yaml:"limits" doc:"How much is held at once."`
	Resume         Resume              `yaml:"resume" doc:"What a session keeps of its streams, so that a client whose connection broke can fetch the rest."`
}

// Endpoint is where another transport of the same route is served.
type Endpoint struct {
	Path string `yaml:"path" example:"/sse" doc:"The whole path."`
}

// messageSuffix follows the path of HTTP+SSE where messages are posted to.
const messageSuffix = "/message"

// Paths are those that the route serves beside its match.path, by the field
// that makes them.
func (c *Config) Paths() map[string][]string {
	paths := map[string][]string{}
	if c.SSE.Path != "" {
		paths["sse.path"] = []string{c.SSE.Path, c.SSE.Path + messageSuffix}
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

// Timeouts bound what a session waits for.
type Timeouts struct {
	List          time.Duration `yaml:"list" default:"10s" min:"1ms" doc:"Per upstream: initialize, and each list."`
	CallIdle      time.Duration `yaml:"call_idle" default:"5m" min:"1ms" doc:"A call without answer or progress for this long is given up."`
	CallMax       time.Duration `yaml:"call_max" default:"1h" min:"1ms" doc:"A call is given up after this, whatever its progress."`
	ServerRequest time.Duration `yaml:"server_request" default:"5m" min:"1ms" doc:"How long a server waits for the client's answer."`
	SessionIdle   time.Duration `yaml:"session_idle" default:"30m" min:"1ms" doc:"A session without request or stream for this long ends."`
}

// Limits bound what a route holds.
type Limits struct {
	Message              config.Size `yaml:"message" default:"4MiB" min:"1KiB" max:"1GiB" doc:"The longest message, in either direction, but for results."`
	Result               config.Size `yaml:"result" default:"16MiB" min:"1KiB" max:"1GiB" doc:"The longest answer of a server. A longer one is passed over, and the client is told; nothing else is disturbed."`
	Sessions             int         `yaml:"sessions" default:"10000" min:"1" doc:"Sessions of the route. One more ends the one idle longest of the same principal, or an anonymous one."`
	SessionsPerPrincipal int         `yaml:"sessions_per_principal" default:"100" min:"1" doc:"Sessions of one principal; one more ends the one idle longest. Anonymous clients are counted by the first limit only."`
	Pending              int         `yaml:"pending" default:"64" min:"1" doc:"Requests of a session that are in flight, in each direction. More of the client's wait, 16 for each, and no more than limits.message in bytes."`
	Streams              int         `yaml:"streams" default:"16" min:"1" doc:"SSE streams of a session."`
}

// Resume bounds what a session keeps of what its streams have carried. Beyond
// any of the bounds the oldest events go first.
type Resume struct {
	Events int           `yaml:"events" default:"1000" min:"0" max:"100000" doc:"Events. 0: streams cannot be resumed."`
	Bytes  config.Size   `yaml:"bytes" default:"4MiB" min:"1KiB" max:"1GiB" doc:"Their bytes in all."`
	Age    time.Duration `yaml:"age" default:"5m" min:"1ms" doc:"How long each is kept."`
}

func (r Resume) limits() eventstream.Limits {
	return eventstream.Limits{Events: r.Events, Bytes: int64(r.Bytes), Age: r.Age}
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
