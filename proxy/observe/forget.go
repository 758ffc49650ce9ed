package observe

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mcpgateway/mcpgateway/clusters"
)

// fewGone is how many values are looked for one by one: each look compares the labels
// of all series, and writing them out, as the pass for many does, costs about as much
// as that many looks.
const fewGone = 16

// Gone are listeners, routes, clusters and endpoints that no generation has any
// more. It is made as a map is, and is for one goroutine.
type Gone map[labelValue]bool

// labelValue is the value of a label; of the label endpoint, beside that cluster.
type labelValue struct{ label, value, cluster string }

// Add adds a listener, route or cluster, as label says.
func (g Gone) Add(label, name string) { g[labelValue{label: label, value: name}] = true }

// Keep takes back Add.
func (g Gone) Keep(label, name string) { delete(g, labelValue{label: label, value: name}) }

// AddEndpoints adds those endpoints of a cluster that are not among those kept.
func (g Gone) AddEndpoints(cluster string, all, kept []*clusters.Endpoint) {
	known := map[string]bool{}
	for _, e := range kept {
		known[endpointLabel(e.ID())] = true
	}
	for _, e := range all {
		if url := endpointLabel(e.ID()); !known[url] {
			g[labelValue{"endpoint", url, cluster}] = true
		}
	}
}

// Forget drops the series of all that is gone.
func (o *Observer) Forget(g Gone) {
	labels := map[string]bool{}
	for one := range g {
		labels[one.label] = true
	}
	for _, s := range o.metrics.series {
		switch {
		case !slices.ContainsFunc(s.labels, func(l string) bool { return labels[l] }):
		case len(g) <= fewGone:
			for one := range g {
				s.DeletePartialMatch(one.labels())
			}
		default:
			s.forget(g)
		}
	}
}

func (v labelValue) labels() prometheus.Labels {
	if v.label == "endpoint" {
		return prometheus.Labels{v.label: v.value, "cluster": v.cluster}
	}
	return prometheus.Labels{v.label: v.value}
}

// forget drops the series of all that is gone in one pass, however much that is.
func (s series) forget(g Gone) {
	collected := make(chan prometheus.Metric, 64)
	go func() {
		defer close(collected)
		s.Collect(collected)
	}()
	var all []prometheus.Metric
	// Collect holds the lock of the metric while it sends, and requests count under it.
	for m := range collected {
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
			dead = dead || g[labelValue{label: l.GetName(), value: l.GetValue()}]
		}
		if dead || g[labelValue{"endpoint", labels["endpoint"], labels["cluster"]}] {
			s.Delete(labels)
		}
	}
}
