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

// forget drops the series of what gen had and no living generation has. It
// waits for gen to be free: a call that finished later would bring them back.
func (g *Gateway) forget(gen *Generation, living []*Generation) {
	listeners, routes := map[string]bool{}, map[string]bool{}
	for _, l := range living {
		for i := range l.config.Listeners {
			listeners[l.config.Listeners[i].Name] = true
		}
		for i := range l.config.Routes {
			routes[l.config.Routes[i].Name] = true
		}
	}
	for i := range gen.config.Listeners {
		if name := gen.config.Listeners[i].Name; !listeners[name] {
			g.metrics.ForgetListener(name)
		}
	}
	for i := range gen.config.Routes {
		if name := gen.config.Routes[i].Name; !routes[name] {
			g.metrics.ForgetRoute(name)
		}
	}
	for _, c := range gen.clusters.All() {
		g.forgetCluster(c, living)
	}
}

// forgetCluster drops the series of a cluster that no living generation has, or of
// those of its endpoints. Most reloads leave most clusters as they are.
func (g *Gateway) forgetCluster(c *clusters.Cluster, living []*Generation) {
	known := false
	var endpoints []*clusters.Endpoint
	for _, l := range living {
		switch other, ok := l.clusters.Get(c.Name()); {
		case other == c:
			return
		case ok:
			known = true
			endpoints = append(endpoints, other.Endpoints()...)
		}
	}
	if !known {
		g.metrics.ForgetCluster(c.Name())
		return
	}
	kept := map[string]bool{}
	for _, e := range endpoints {
		kept[endpointLabel(e.ID())] = true
	}
	for _, e := range c.Endpoints() {
		if label := endpointLabel(e.ID()); !kept[label] {
			g.metrics.ForgetEndpoint(c.Name(), label)
		}
	}
}
