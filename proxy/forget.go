package proxy

import "github.com/mcpgateway/mcpgateway/clusters"

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
			g.observer.ForgetListener(name)
		}
	}
	for i := range gen.config.Routes {
		if name := gen.config.Routes[i].Name; !routes[name] {
			g.observer.ForgetRoute(name)
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
		g.observer.ForgetCluster(c.Name())
		return
	}
	g.observer.ForgetEndpoints(c.Name(), c.Endpoints(), endpoints)
}
