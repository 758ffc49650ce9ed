package proxy

import (
	"fmt"
	"slices"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/proxy/admin"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/proxy/logging"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/seal"
	"github.com/mcpgateway/mcpgateway/proxy/routes"
	"github.com/mcpgateway/mcpgateway/tls/acme"
)

// Config is the whole file: the sum of the sections that the packages declare.
type Config struct {
	Log       logging.Config     `yaml:"log" doc:"What is logged, and where to."`
	Admin     *admin.Config      `yaml:"admin" doc:"The operator's API; off when absent."`
	Reload    ReloadConfig       `yaml:"reload" doc:"How a change of the file becomes a generation."`
	Drain     DrainConfig        `yaml:"drain" doc:"How connections of a changed or removed listener end."`
	Shutdown  ShutdownConfig     `yaml:"shutdown" doc:"How the process ends."`
	ACME      *acme.Config       `yaml:"acme" doc:"One account for the certificates that listeners get by ACME; off when absent."`
	Memory    MemoryConfig       `yaml:"memory" doc:"How much memory the process may use."`
	Listeners []listeners.Config `yaml:"listeners" required:"true" doc:"Addresses that are served."`
	Routes    []routes.Config    `yaml:"routes" doc:"What is done with a request; the first match wins, in file order."`
	Clusters  []clusters.Config  `yaml:"clusters" doc:"Upstream servers that are interchangeable."`
	// StateKeyFiles seal what clients hold for the gateway.
	StateKeyFiles []config.Secret `yaml:"state_key_files" example:"[secrets/state.key]" doc:"Keys, of at least 32 bytes each, that seal cursors, request state, event and task ids; the first seals, all open. Absent: random for the life of the process. Replicas share them."`
}

// ReloadConfig is the section reload.
type ReloadConfig struct {
	Watch       bool          `yaml:"watch" default:"true" doc:"Apply a change of this file, or of any file it names, without a signal."`
	WarmTimeout time.Duration `yaml:"warm_timeout" default:"10s" min:"0s" doc:"How long a new generation waits for the first health check of its new clusters."`
}

// DrainConfig is the section drain.
type DrainConfig struct {
	Timeout     time.Duration `yaml:"timeout" default:"10m" min:"0s" doc:"A stream on a changed or removed listener is ended, cleanly, after this."`
	CloseSpread time.Duration `yaml:"close_spread" default:"5s" min:"0s" doc:"Connections of a drained listener are told to go spread over this."`
}

// ShutdownConfig is the section shutdown.
type ShutdownConfig struct {
	Delay   time.Duration `yaml:"delay" default:"0s" min:"0s" doc:"How long readiness answers 503 before sockets close."`
	Timeout time.Duration `yaml:"timeout" default:"30s" min:"0s" doc:"When the process has ended at the latest, counted from there; connections drain until shortly before."`
}

// Validate checks what no section can check alone: names that refer to each
// other, and addresses that exclude each other.
func (c *Config) Validate(s *config.Scope) {
	if len(c.Listeners) == 0 && s.IsSet("listeners") {
		s.Errorf("listeners", "no listener; at least one is needed to serve anything")
	}
	c.checkStateKeys(s)
	c.checkListeners(s)
	c.checkACME(s)
	c.checkRouteListeners(s)
	clusterNames := indexNames(s, "clusters", c.Clusters, func(cl *clusters.Config) string { return cl.Name }, nil)
	c.resolve(clusterNames)
	c.checkRoutes(s, clusterNames)
	c.checkPaths(s)
	c.checkOrder(s)
}

// resolve fills in what sections take from each other: the listeners of a route that
// names none or "all", and which clusters serve MCP.
func (c *Config) resolve(clusterNames map[string]int) {
	listenerNames := c.listenerNames()
	for i := range c.Routes {
		r := &c.Routes[i]
		if len(r.Listeners) == 0 || slices.Contains(r.Listeners, "all") {
			r.Listeners = slices.Clone(listenerNames)
		}
		if r.MCP == nil {
			continue
		}
		for _, ref := range r.MCP.Clusters {
			if j, ok := clusterNames[ref.Name]; ok {
				c.Clusters[j].CheckedByDefault = true
			}
		}
	}
}

func (c *Config) listenerNames() []string {
	var names []string
	for i := range c.Listeners {
		names = append(names, c.Listeners[i].Name)
	}
	return names
}

// stateKeys are the contents of state_key_files.
func (c *Config) stateKeys() [][]byte {
	keys := make([][]byte, 0, len(c.StateKeyFiles))
	for _, f := range c.StateKeyFiles {
		keys = append(keys, f.Data)
	}
	return keys
}

func (c *Config) checkStateKeys(s *config.Scope) {
	for i, f := range c.StateKeyFiles {
		at := fmt.Sprintf("state_key_files[%d]", i)
		if !s.Failed(at) && len(f.Data) < seal.MinKey {
			s.Errorf(at, "%s holds %d bytes; at least %d are needed, as openssl rand -base64 48 makes them", f.Path, len(f.Data), seal.MinKey)
		}
	}
}

// checkOrder warns of routes that no request gets to. With mistakes elsewhere it
// cannot know what is meant.
func (c *Config) checkOrder(s *config.Scope) {
	if !s.Clean() {
		return
	}
	for _, shadow := range routes.Shadowed(c.Routes) {
		by := fmt.Sprintf("routes[%d]", shadow.By)
		s.Warnf(fmt.Sprintf("routes[%d].match", shadow.Route), "no request gets to the route %q: %s, %q at %s, stands before it and matches all that it matches; put it before that one, or narrow that one's match",
			c.Routes[shadow.Route].Name, by, c.Routes[shadow.By].Name, s.Position(by))
	}
}

// indexNames returns where each name stands first, and reports the others, with a
// hint where there is one.
func indexNames[T any](s *config.Scope, section string, list []T, name, hint func(*T) string) map[string]int {
	names := map[string]int{}
	for i := range list {
		n := name(&list[i])
		if n == "" {
			continue
		}
		if first, dup := names[n]; dup {
			more := ""
			if hint != nil {
				more = hint(&list[i])
			}
			s.Errorf(fmt.Sprintf("%s[%d].name", section, i), "the name %q is taken by %s[%d]%s", n, section, first, more)
			continue
		}
		names[n] = i
	}
	return names
}

func (c *Config) checkListeners(s *config.Scope) {
	indexNames(s, "listeners", c.Listeners, func(l *listeners.Config) string { return l.Name }, nil)
	for i, l := range c.Listeners {
		for j, other := range c.Listeners[:i] {
			if why := listeners.Conflict(l.Address, other.Address); why != "" {
				s.Errorf(fmt.Sprintf("listeners[%d].address", i), "%s %s listeners[%d] (%s)", l.Address, why, j, other.Address)
				break
			}
		}
	}
	if c.Admin != nil {
		for i, l := range c.Listeners {
			if why := listeners.Conflict(c.Admin.Address, l.Address); why != "" {
				s.Errorf("admin.address", "%s %s listeners[%d] (%s)", c.Admin.Address, why, i, l.Address)
			}
		}
	}
}

func (c *Config) checkRoutes(s *config.Scope, clusterNames map[string]int) {
	var clusterList []string
	for _, cl := range c.Clusters {
		clusterList = append(clusterList, cl.Name)
	}
	indexNames(s, "routes", c.Routes, func(r *routes.Config) string { return r.Name }, func(r *routes.Config) string {
		if r.Name == r.Match.Path || r.Name == r.Match.PathPrefix {
			return "; a route without a name is named by its path, so name one of them"
		}
		return ""
	})
	for i := range c.Routes {
		r := &c.Routes[i]
		at := func(field string) string { return fmt.Sprintf("routes[%d].%s", i, field) }
		if r.Cluster != "" {
			if j, ok := clusterNames[r.Cluster]; !ok {
				s.Errorf(at("cluster"), "there is no cluster %q%s", r.Cluster, config.Suggest(r.Cluster, clusterList))
			} else if len(c.Clusters[j].Command) > 0 {
				s.Errorf(at("cluster"), "%q is a command, which speaks nothing but MCP; name it in an mcp route", r.Cluster)
			} else if c.Clusters[j].HasQuery() {
				s.Errorf(at("cluster"), "%q has a query in its endpoints, or query, which goes with MCP requests alone; name it in an mcp route, or take the query away", r.Cluster)
			}
		}
		c.checkRouteHosts(s, i, r)
		if r.MCP != nil {
			for j, ref := range r.MCP.Clusters {
				if _, ok := clusterNames[ref.Name]; !ok && ref.Name != "" {
					s.Errorf(at(fmt.Sprintf("mcp.clusters[%d]", j)), "there is no cluster %q%s", ref.Name, config.Suggest(ref.Name, clusterList))
				}
			}
		}
	}
}

// checkRouteHosts warns of an mcp route that web pages can not call, for want of
// a host that they could be told from an attacker's by.
func (c *Config) checkRouteHosts(s *config.Scope, i int, r *routes.Config) {
	if r.MCP == nil || len(r.Match.Hosts)+len(r.MCP.AllowedHosts)+len(r.MCP.AllowedOrigins) > 0 {
		return
	}
	for _, l := range c.Listeners {
		if slices.Contains(r.Listeners, l.Name) && listeners.OffLoopback(l.Address) {
			s.Warnf(fmt.Sprintf("routes[%d].mcp", i), "names no hosts, so on listener %q a request with an Origin, that is one of a web page, is refused; give match.hosts, allowed_hosts or allowed_origins where pages are to call", l.Name)
			return
		}
	}
}

// checkRouteListeners wants each route to name listeners that there are, and that ask
// for the certificates which the route wants to see.
func (c *Config) checkRouteListeners(s *config.Scope) {
	known := c.listenerNames()
	for i := range c.Routes {
		r := &c.Routes[i]
		at := func(field string) string { return fmt.Sprintf("routes[%d].%s", i, field) }
		switch {
		case len(r.Listeners) == 0 && len(known) > 1:
			s.Errorf(at("listeners"), "needed, since there are several listeners; name them, or write [all]")
		case len(r.Listeners) == 0:
			c.checkClientCert(s, i, r, known)
		case slices.Contains(r.Listeners, "all"):
			if len(r.Listeners) > 1 {
				s.Errorf(at("listeners"), `"all" stands alone`)
			}
			// A listener that does not ask answers 401, and keeps the path from the
			// routes below; but no client can use the route when none of them asks.
			if r.Auth != nil && r.Auth.ClientCert != nil &&
				!slices.ContainsFunc(c.Listeners, func(l listeners.Config) bool { return l.TLS.AsksForCertificates() }) {
				s.Errorf(at("auth.client_cert"), "no listener asks for a client certificate; set tls.client_auth.mode of one, or of one of its policies, to request or require")
			}
		default:
			for j, name := range r.Listeners {
				if !slices.Contains(known, name) {
					s.Errorf(at(fmt.Sprintf("listeners[%d]", j)), "there is no listener %q%s", name, config.Suggest(name, known))
				}
			}
			c.checkClientCert(s, i, r, r.Listeners)
		}
	}
}

// checkClientCert reports a route that wants to see a certificate, on a
// listener which asks no client for one, whatever the server name.
func (c *Config) checkClientCert(s *config.Scope, i int, r *routes.Config, on []string) {
	if r.Auth == nil || r.Auth.ClientCert == nil {
		return
	}
	for _, l := range c.Listeners {
		if slices.Contains(on, l.Name) && !l.TLS.AsksForCertificates() {
			s.Errorf(fmt.Sprintf("routes[%d].auth.client_cert", i), "listener %q asks for no client certificate; set its tls.client_auth.mode, or that of one of its policies, to request or require", l.Name)
		}
	}
}
