package proxy

import (
	"fmt"
	"maps"
	"slices"

	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/proxy/routes"
)

// checkPaths wants each path that an mcp route has beside match.path to lead
// to that route: clients find out too late that it does not.
func (c *Config) checkPaths(s *config.Scope) {
	for i := range c.Routes {
		r := &c.Routes[i]
		if r.MCP == nil {
			continue
		}
		paths := r.MCP.Paths()
		for _, field := range slices.Sorted(maps.Keys(paths)) {
			for _, path := range paths[field] {
				if j := c.rival(i, path); j >= 0 {
					s.Errorf(fmt.Sprintf("routes[%d].mcp.%s", i, field), "the path %q is taken by routes[%d]", path, j)
					break
				}
			}
		}
	}
}

// rival returns another route that serves the path for the same requests; -1
// when there is none.
func (c *Config) rival(i int, path string) int {
	r := &c.Routes[i]
	for j := range c.Routes {
		other := &c.Routes[j]
		if j == i || !has(other, path) || !slices.Equal(slices.Sorted(slices.Values(r.Match.Hosts)), slices.Sorted(slices.Values(other.Match.Hosts))) ||
			len(r.Match.Headers)+len(other.Match.Headers)+len(r.Match.Methods)+len(other.Match.Methods) > 0 {
			continue
		}
		if slices.ContainsFunc(r.Listeners, func(name string) bool { return slices.Contains(other.Listeners, name) }) {
			return j
		}
	}
	return -1
}

// has reports whether the route names the whole path.
func has(r *routes.Config, path string) bool {
	if r.Match.Path == path {
		return true
	}
	if r.MCP == nil {
		return false
	}
	for _, paths := range r.MCP.Paths() {
		if slices.Contains(paths, path) {
			return true
		}
	}
	return false
}
