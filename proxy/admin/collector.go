package admin

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// MetricsPage answers GET /metrics with what is registered, and with what the
// source's Status says besides. It is called once for a registry.
func MetricsPage(registry *prometheus.Registry, source Source) http.Handler {
	registry.MustRegister(Collector{source})
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// A Collector turns the Status of the moment into gauges, so that none of
// them can go stale: a series ends with the thing that it describes.
type Collector struct{ Source Source }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("mcpgateway_"+name, help, labels, nil)
}

// Describe sends nothing: the series depend on the configuration, and an
// unchecked collector is what the client library offers for that.
func (c Collector) Describe(chan<- *prometheus.Desc) {}

// Collect asks the source for its Status, and sends what that says.
func (c Collector) Collect(ch chan<- prometheus.Metric) {
	s := c.Source.Status()
	// One series twice, or a label that is no UTF-8, would fail the scrape as a
	// whole: a pair may be named twice, and names in certificates are foreign.
	seen := map[string]bool{}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		for i, l := range labels {
			labels[i] = strings.ToValidUTF8(l, "\uFFFD")
		}
		if key := fmt.Sprintf("%p %q", d, labels); !seen[key] {
			seen[key] = true
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
		}
	}
	gauge(desc("generation", "The number of the generation in force."), float64(s.Generation.Number))
	gauge(desc("ready", "1 while the gateway is ready to serve."), flag(s.Ready))
	gauge(desc("mcp_sessions", "MCP sessions of clients."), float64(s.Sessions))
	gauge(desc("mcp_streams", "Open MCP streams."), float64(s.Streams))
	gauge(desc("memory_limit_bytes", "What memory.limit comes to; 0 where there is none."), float64(s.Memory.Limit))
	gauge(desc("memory_pressure_ratio", "The greater of what is charged for peers and what is live, as a part of the limit."), s.Memory.Ratio)
	charged := desc("memory_charged_bytes", "Memory that is charged for what peers make the gateway keep.", "kind")
	for kind, bytes := range s.Memory.Charged {
		gauge(charged, float64(bytes), kind)
	}
	gauge(desc("draining_generations", "Older generations that still serve."), float64(len(s.Draining)))

	open := desc("listener_connections", "Open connections.", "listener")
	streams := desc("listener_streams", "Open SSE and WebSocket streams.", "listener")
	for _, l := range s.Listeners {
		gauge(open, float64(l.Connections), l.Name)
		gauge(streams, float64(l.Streams), l.Name)
	}
	healthy := desc("cluster_endpoint_healthy", "1 while the endpoint may take traffic.", "cluster", "endpoint", "address")
	active := desc("cluster_endpoint_active", "Requests in flight.", "cluster", "endpoint", "address")
	processes := desc("cluster_processes", "Processes of the command that run.", "cluster")
	waiting := desc("cluster_processes_waiting", "Sessions that wait for a process of the command, since max_processes run.", "cluster")
	leftOut := desc("mcp_definitions_left_out", "Tools, prompts, resources and templates of the cluster that no client gets, since MCP's schema refuses them; at most 100 of each.", "cluster", "kind")
	for _, cl := range s.Clusters {
		kinds := map[string]int{}
		for _, d := range cl.LeftOut {
			kinds[d.Kind]++
		}
		for kind, n := range kinds {
			gauge(leftOut, float64(n), cl.Name, kind)
		}
		for _, e := range cl.Endpoints {
			gauge(healthy, flag(e.Healthy), cl.Name, e.URL, e.Address)
			gauge(active, float64(e.Active), cl.Name, e.URL, e.Address)
			if e.MaxProcesses > 0 {
				gauge(processes, float64(e.Processes), cl.Name)
				gauge(waiting, float64(e.Waiting), cl.Name)
			}
		}
	}
	notAfter := desc("certificate_not_after_timestamp_seconds", "When a certificate in use expires.", "use", "subject", "serial")
	for _, c := range s.Certs {
		if c.NotAfter.IsZero() {
			continue // by ACME, and not obtained yet
		}
		gauge(notAfter, float64(c.NotAfter.Unix()), c.Use, c.Subject, c.Serial)
	}
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
