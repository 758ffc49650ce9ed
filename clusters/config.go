package clusters

import (
	"slices"
	"strings"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls"
)

// Config is one entry of the section clusters.
type Config struct {
	Name         string                  `yaml:"name" required:"true" pattern:"[a-z][a-z0-9-]{0,31}" doc:"What routes call it; part of tool names and URIs." example:"github"`
	Endpoints    []string                `yaml:"endpoints" doc:"URLs, http or https, with one scheme and one path for all." example:"[https://10.0.0.5:9000/mcp]"`
	Command      []string                `yaml:"command" doc:"Instead of endpoints: the program, and its arguments, of a stdio MCP server." example:"[npx, -y, some-mcp-server]"`
	Env          map[string]config.Value `yaml:"env" doc:"Environment of the command, besides PATH, HOME, LANG and TMPDIR."`
	Dir          config.Path             `yaml:"dir" doc:"Working directory of the command."`
	MaxProcesses int                     `yaml:"max_processes" default:"32" min:"1" doc:"Processes of the command at the same time. Where all run, that of an idle session is stopped for another one: of the same principal, else of an anonymous client, else of the one idle longest."`
	QueueTimeout time.Duration           `yaml:"queue_timeout" default:"10s" min:"0s" doc:"How long a session waits for a process of the command while max_processes run; 0s: not at all."`
	StartTimeout time.Duration           `yaml:"start_timeout" default:"60s" min:"1ms" doc:"How long a process of the command may take from its start to its first answer; apart from the health check's timeout."`
	Protocols    []string                `yaml:"protocols" enum:"h2,http/1.1,h3" doc:"Default: by ALPN h2 or http/1.1, plain text http/1.1; [h2] forces it (h2c on http://), [h3] HTTP/3, on the UDP port of the same number."`
	Proxy        string                  `yaml:"proxy_protocol" default:"none" enum:"none,v1,v2" doc:"A PROXY header at the start of each connection. Connections are shared by clients, so it names none of them: UNKNOWN (v1) or LOCAL (v2)."`
	DNSRefresh   time.Duration           `yaml:"dns_refresh" default:"30s" min:"1s" doc:"How often names are resolved anew; every address is an endpoint of its own."`
	Balancing    string                  `yaml:"load_balancing" default:"least_request" enum:"least_request,round_robin" later:"ring_hash" doc:"How an endpoint is chosen."`
	MCP          MCPConfig               `yaml:"mcp" doc:"How MCP is spoken; only for clusters that an mcp route names."`
	TLS          *tls.ClientConfig       `yaml:"tls" doc:"For https://; absent: system roots, no client certificate."`
	Headers      map[string]config.Value `yaml:"headers" doc:"Sent on every request."`
	Query        map[string]config.Value `yaml:"query" doc:"Added to the URL of each MCP request, for servers that want a key there." example:"{api_key: {file: secrets/key}}"`
	HealthCheck  *HealthCheck            `yaml:"health_check" doc:"Active checks; on for clusters that an mcp route names, off for others."`

	ConnectTimeout   time.Duration `yaml:"connect_timeout" default:"5s" min:"1ms" doc:"TCP and TLS, or QUIC, together."`
	IdleTimeout      time.Duration `yaml:"idle_timeout" default:"90s" min:"0s" doc:"An unused connection closes after this; 0 never."`
	MaxConnectionAge time.Duration `yaml:"max_connection_age" default:"0s" min:"0s" doc:"No new request uses a connection older than this; 0: until the client certificate's NotAfter."`

	// CheckedByDefault says that there are active checks also where HealthCheck is
	// nil: an mcp route names this cluster.
	CheckedByDefault bool `yaml:"-"`

	_ struct{} `later:"hash_on,outlier_detection,circuit_breaker"`
}

// MCPConfig says how MCP is spoken to a cluster.
type MCPConfig struct {
	Transport string `yaml:"transport" default:"auto" enum:"auto,streamable_http,sse" doc:"The transport of the server."`
	Protocol  string `yaml:"protocol" default:"auto" pattern:"auto|\\d{4}-\\d{2}-\\d{2}" doc:"auto, or a revision where a server misreports itself." example:"2025-11-25"`
}

// HealthCheck configures active checks.
type HealthCheck struct {
	Kind               string         `yaml:"kind" default:"mcp" enum:"mcp,http,tcp" doc:"What is asked; a command has only mcp, HTTP/3 only mcp and http."`
	Path               string         `yaml:"path" default:"/" pattern:"/.*" doc:"Path of kind http."`
	Interval           time.Duration  `yaml:"interval" default:"10s" min:"1ms" doc:"Time from one check to the next."`
	Timeout            time.Duration  `yaml:"timeout" default:"3s" min:"1ms" doc:"A check that takes longer has failed."`
	Jitter             config.Percent `yaml:"jitter" default:"10%" min:"0%" max:"100%" doc:"Random share of the interval added to or taken from it."`
	UnhealthyThreshold int            `yaml:"unhealthy_threshold" default:"3" min:"1" doc:"Failures in a row that make an endpoint unhealthy."`
	HealthyThreshold   int            `yaml:"healthy_threshold" default:"2" min:"1" doc:"Successes in a row that make it healthy again; at start one is enough."`
}

// HasQuery reports whether the URLs of the endpoints have a query.
func (c *Config) HasQuery() bool {
	return len(c.Query) > 0 || slices.ContainsFunc(c.Endpoints, func(u string) bool { return strings.Contains(u, "?") })
}

// health returns the active checks in force, nil when there are none.
func (c *Config) health() (*HealthCheck, error) {
	if c.HealthCheck != nil || !c.CheckedByDefault {
		return c.HealthCheck, nil
	}
	h := new(HealthCheck)
	if err := config.Defaults(h); err != nil {
		return nil, err
	}
	return h, nil
}

// connecting is the part of a Config that a connection is made by: when it changes,
// open connections no longer stand for what is configured.
func (c *Config) connecting() Config {
	return Config{
		TLS: c.TLS, Protocols: c.Protocols, Proxy: c.Proxy, ConnectTimeout: c.ConnectTimeout, IdleTimeout: c.IdleTimeout,
		MaxConnectionAge: c.MaxConnectionAge, Command: c.Command, Env: c.Env, Dir: c.Dir,
	}
}

// ConnectFingerprint sums what a connection is made by: identity, trust, names
// and connect settings. Clusters in which it differs never share a connection.
func (c *Config) ConnectFingerprint() [32]byte { return config.Fingerprint(c.connecting()) }

// reachFingerprint sums what decides, beside the URL, whether a health check
// reaches the server. Of the check's own settings that is all but how often it is
// made, and how many successes and failures count.
func (c *Config) reachFingerprint() [32]byte {
	part := c.connecting()
	part.Headers, part.Query, part.MCP, part.StartTimeout = c.Headers, c.Query, c.MCP, c.StartTimeout
	if h, _ := c.health(); h != nil {
		check := *h
		check.Interval, check.Jitter, check.UnhealthyThreshold, check.HealthyThreshold = 0, 0, 0, 0
		part.HealthCheck = &check
	}
	return config.Fingerprint(part)
}

// equal reports whether the clusters of both are the same.
func (c *Config) equal(other *Config, compare *config.Comparer) bool {
	return c.CheckedByDefault == other.CheckedByDefault && compare.Equal(c, other)
}
