package observe

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mcpgateway/mcpgateway/clusters"
)

// Gone are listeners, routes, clusters and endpoints that no generation has any
// more. It is made as a map is, and is for one goroutine.
type Gone map[gone]bool

// gone is the value of a label; of the label endpoint, beside that cluster.
type gone struct{ label, name, cluster string }

// Add adds a listener, route or cluster, as label says.
func (g Gone) Add(label, name string) { g[gone{label: label, name: name}] = true }

// Keep takes back Add.
func (g Gone) Keep(label, name string) { delete(g, gone{label: label, name: name}) }

// AddEndpoints adds those endpoints of a cluster that are not among those kept.
func (g Gone) AddEndpoints(cluster string, all, kept []*clusters.Endpoint) {
	known := map[string]bool{}
	for _, e := range kept {
		known[endpointLabel(e.ID())] = true
	}
	for _, e := range all {
		if url := endpointLabel(e.ID()); !known[url] {
			g[gone{"endpoint", url, cluster}] = true
		}
	}
}

// Forget drops the series of all that is gone. It looks at each series once, however
// much that is.
func (o *Observer) Forget(g Gone) {
	labels := map[string]bool{}
	for one := range g {
		labels[one.label] = true
	}
	for _, s := range o.metrics.series {
		if slices.ContainsFunc(s.labels, func(l string) bool { return labels[l] }) {
			s.forget(g)
		}
	}
}

func (s series) forget(g Gone) {
	collected := make(chan prometheus.Metric, 64)
	go func() {
		defer close(collected)
		s.Collect(collected)
	}()
	var all []prometheus.Metric
	for m := range collected { // holding the lock that requests count under
		all = append(all, m)
	}
	for _, m := range all {
		var read dto.Metric
		if m.Write(&read) != nil {
			continue
		}
		labels, dead := prometheus.Labels{}, false
		for _, l := range read.Label {
			labels[l.GetName()] = l.GetValue()
			dead = dead || g[gone{label: l.GetName(), name: l.GetValue()}]
		}
		if dead || g[gone{"endpoint", labels["endpoint"], labels["cluster"]}] {
			s.Delete(labels)
		}
	}
}
