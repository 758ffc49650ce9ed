package proxy

import (
	"net/netip"
	"strings"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
)

// Whatever becomes a label stays in memory for as long as its series: labels
// are bounded by the configuration, and neither by clients nor by DNS.

// endpointLabel is the endpoint's URL, for all of its addresses.
func endpointLabel(id string) string {
	if i := strings.LastIndexByte(id, '@'); i >= 0 {
		if _, err := netip.ParseAddr(id[i+1:]); err == nil {
			return id[:i]
		}
	}
	return id
}

// methodLabel is the method of a request to a server, if the specification
// knows it: clients may send any.
func methodLabel(method string) string {
	if spec.Request(method).Name == "" {
		return "other"
	}
	return method
}

// labels are what a generation's series are named by.
type labels struct {
	listeners, routes map[string]bool
	// endpoints are those of each cluster.
	endpoints map[string]map[string]bool
}

func labelsOf(gens ...*Generation) labels {
	l := labels{map[string]bool{}, map[string]bool{}, map[string]map[string]bool{}}
	for _, gen := range gens {
		for i := range gen.config.Listeners {
			l.listeners[gen.config.Listeners[i].Name] = true
		}
		for i := range gen.config.Routes {
			l.routes[gen.config.Routes[i].Name] = true
		}
		for _, c := range gen.clusters.All() {
			l.addEndpoints(c)
		}
	}
	return l
}

func (l labels) addEndpoints(c *clusters.Cluster) {
	if l.endpoints[c.Name()] == nil {
		l.endpoints[c.Name()] = map[string]bool{}
	}
	for _, e := range c.Endpoints() {
		l.endpoints[c.Name()][endpointLabel(e.ID())] = true
	}
}

// forget drops the series of what gen had and no living generation has. It
// waits for gen to be free: a call that finished later would bring them back.
func (g *Gateway) forget(gen *Generation, living []*Generation) {
	gone, kept := labelsOf(gen), labelsOf(living...)
	for name := range gone.listeners {
		if !kept.listeners[name] {
			g.metrics.ForgetListener(name)
		}
	}
	for name := range gone.routes {
		if !kept.routes[name] {
			g.metrics.ForgetRoute(name)
		}
	}
	for cluster, endpoints := range gone.endpoints {
		if kept.endpoints[cluster] == nil {
			g.metrics.ForgetCluster(cluster)
			continue
		}
		for endpoint := range endpoints {
			if !kept.endpoints[cluster][endpoint] {
				g.metrics.ForgetEndpoint(cluster, endpoint)
			}
		}
	}
}
