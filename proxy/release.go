package proxy

import (
	"context"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/proxy/observe"
)

// release frees what a generation held once no request uses it any more.
func (s *shared) release(gen *Generation) {
	defer s.generations.work.Done()
	s.generations.remove(gen)
	newest, draining := s.generations.serving()
	forget(s.observer, gen, append(draining, newest))
	s.releaseNames()
	gen.router.Close()
	gen.clusters.Release()
	s.observer.Logs.Logger().Debug().Uint64("generation", gen.number).Msg("generation released")
	_ = gen.clusters.Wait(context.Background()) // its checks end within their timeout
}

// releaseNames has the ACME manager drop the names that no generation wants and
// that handshakes may still have asked for.
func (s *shared) releaseNames() {
	newest, draining := s.generations.serving()
	var inUse []string
	for _, gen := range append(draining, newest) {
		inUse = append(inUse, gen.config.acmeNames()...)
	}
	s.acme.Release(inUse)
}

// forget drops the series of what gen had and no living generation has. It
// waits for gen to be free: a call that finished later would bring them back.
func forget(o *observe.Observer, gen *Generation, living []*Generation) {
	gone := observe.Gone{}
	eachLabel(gen.config, gone.Add)
	for _, l := range living {
		eachLabel(l.config, gone.Keep)
	}
	for _, c := range gen.clusters.All() {
		addCluster(gone, c, living)
	}
	o.Forget(gone)
}

// eachLabel calls f with each listener and route, by which metrics are labelled.
func eachLabel(c *Config, f func(label, name string)) {
	for i := range c.Listeners {
		f("listener", c.Listeners[i].Name)
	}
	for i := range c.Routes {
		f("route", c.Routes[i].Name)
	}
}

// addCluster adds a cluster that no living generation has, or those of its endpoints.
// Most reloads leave most clusters as they are.
func addCluster(gone observe.Gone, c *clusters.Cluster, living []*Generation) {
	known := false
	var kept []*clusters.Endpoint
	for _, l := range living {
		switch other, ok := l.clusters.Get(c.Name()); {
		case other == c:
			return
		case ok:
			known = true
			kept = append(kept, other.Endpoints()...)
		}
	}
	if known {
		gone.AddEndpoints(c.Name(), c.Endpoints(), kept)
	} else {
		gone.Add("cluster", c.Name())
	}
}
