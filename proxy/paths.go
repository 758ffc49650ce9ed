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
	named := routesByPath(c.Routes)
	for i := range c.Routes {
		r := &c.Routes[i]
		if r.MCP == nil {
			continue
		}
		paths := r.MCP.Paths()
		for _, field := range slices.Sorted(maps.Keys(paths)) {
			for _, path := range paths[field] {
				if j := rival(c.Routes, i, named[path]); j >= 0 {
					s.Errorf(fmt.Sprintf("routes[%d].mcp.%s", i, field), "the path %q is taken by routes[%d]", path, j)
					break
				}
			}
		}
	}
}

// rival returns the index of another route than i, of those that name one path,
// that serves it for the same requests; -1 when there is none.
func rival(list []routes.Config, i int, naming []int) int {
	r := &list[i]
	for _, j := range naming {
		other := &list[j]
		if j == i || !slices.Equal(slices.Sorted(slices.Values(r.Match.Hosts)), slices.Sorted(slices.Values(other.Match.Hosts))) ||
			len(r.Match.Headers)+len(other.Match.Headers)+len(r.Match.Methods)+len(other.Match.Methods) > 0 {
			continue
		}
		if slices.ContainsFunc(r.Listeners, func(name string) bool { return slices.Contains(other.Listeners, name) }) {
			return j
		}
	}
	return -1
}

// routesByPath lists, in file order, the routes that name each whole path.
func routesByPath(all []routes.Config) map[string][]int {
	by := map[string][]int{}
	add := func(i int, path string) {
		if list := by[path]; path != "" && (len(list) == 0 || list[len(list)-1] != i) {
			by[path] = append(list, i)
		}
	}
	for i := range all {
		add(i, all[i].Match.Path)
		for _, path := range all[i].OtherPaths() {
			add(i, path)
		}
	}
	return by
}
