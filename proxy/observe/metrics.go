package observe

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics are what is counted, in a registry of their own. What can be read off
// the present state is collected from the Status instead, see admin.Collector.
type metrics struct {
	registry *prometheus.Registry
	// series are all that are defined, with their labels. New writes it, and what
	// is forgotten later reads it.
	series []series
}

type series struct {
	*prometheus.MetricVec
	labels []string
}

func newMetrics(version string) *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.gauge("build_info", "Always 1; the version is a label.", "version").WithLabelValues(version).Set(1)
	return m
}

func (m *metrics) counter(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "mcpgateway", Name: name, Help: help}, labels)
	m.define(v, v.MetricVec, labels)
	return v
}

func (m *metrics) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "mcpgateway", Name: name, Help: help}, labels)
	m.define(v, v.MetricVec, labels)
	return v
}

// seconds is a histogram of durations.
func (m *metrics) seconds(name, help string, labels ...string) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "mcpgateway", Name: name, Help: help,
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}}, labels)
	m.define(v, v.MetricVec, labels)
	return v
}

func (m *metrics) define(c prometheus.Collector, v *prometheus.MetricVec, labels []string) {
	m.registry.MustRegister(c)
	m.series = append(m.series, series{v, labels})
}

func outcome(err error) string {
	if err != nil {
		return "error"
	}
	return "ok"
}
