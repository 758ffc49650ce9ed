package admin

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are registered once a process, in a registry of their own. What is
// counted is fed by the gateway; what can be read off the present state is
// collected from the Source when a scrape asks.
type Metrics struct {
	registry *prometheus.Registry

	requests        *prometheus.CounterVec
	requestSeconds  *prometheus.HistogramVec
	connections     *prometheus.CounterVec
	rejected        *prometheus.CounterVec
	handshakes      *prometheus.CounterVec
	upstream        *prometheus.CounterVec
	upstreamSeconds *prometheus.HistogramVec
	connects        *prometheus.CounterVec
	retries         *prometheus.CounterVec
	healthChanges   *prometheus.CounterVec
	stderrOmitted   *prometheus.CounterVec
	mcpCalls        *prometheus.CounterVec
	mcpIgnored      *prometheus.CounterVec
	acmeEvents      *prometheus.CounterVec
	reloads         *prometheus.CounterVec
	lastReload      *prometheus.GaugeVec
	logDropped      prometheus.Counter
	memoryRefused   *prometheus.CounterVec
}

// NewMetrics registers everything the gateway counts. version labels build_info.
func NewMetrics(version string) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "mcpgateway", Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "mcpgateway", Name: name, Help: help,
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}}, labels)
	}
	m := &Metrics{
		registry:        prometheus.NewRegistry(),
		requests:        counter("requests_total", "Requests answered, by route, status code and response flag.", "route", "code", "flag"),
		requestSeconds:  histogram("request_duration_seconds", "From the first byte of a request to the last of its answer.", "route"),
		connections:     counter("listener_connections_total", "Connections accepted.", "listener"),
		rejected:        counter("listener_rejected_total", "Connections closed unserved, by reason.", "listener", "reason"),
		handshakes:      counter("listener_handshakes_total", "TLS handshakes, by outcome.", "listener", "outcome"),
		upstream:        counter("cluster_requests_total", "Requests sent to endpoints, by status code; code 0 got no answer.", "cluster", "endpoint", "code"),
		upstreamSeconds: histogram("cluster_request_duration_seconds", "From sending a request to an endpoint to its response header.", "cluster"),
		connects:        counter("cluster_connects_total", "Connections opened to endpoints, by outcome.", "cluster", "endpoint", "outcome"),
		retries:         counter("cluster_retries_total", "Requests sent again.", "cluster"),
		healthChanges:   counter("cluster_health_changes_total", "Times that an endpoint's health changed.", "cluster", "endpoint", "to"),
		stderrOmitted:   counter("cluster_stderr_lines_omitted_total", "Lines that processes wrote to stderr and that are not in the log, since they were too many.", "cluster"),
		mcpCalls:        counter("mcp_calls_total", "MCP requests sent to clusters, by method and outcome.", "cluster", "method", "outcome"),
		mcpIgnored:      counter("mcp_ignored_total", "What MCP servers sent and no client gets, such as what a command prints on its stdout besides messages.", "cluster"),
		acmeEvents:      counter("acme_events_total", "What happened to certificates by ACME, such as obtained, renewed or failed.", "event"),
		reloads:         counter("reloads_total", "Reloads, by result.", "result"),
		memoryRefused:   counter("memory_refused_total", "What was refused for want of memory, by what it was.", "kind"),
		lastReload:      prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "mcpgateway", Name: "last_reload_timestamp_seconds", Help: "When a reload last ended, by result."}, []string{"result"}),
	}
	m.logDropped = prometheus.NewCounter(prometheus.CounterOpts{Namespace: "mcpgateway", Name: "log_lines_dropped_total", Help: "Log lines that were not written, since the log could not take them as fast as they came."})
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "mcpgateway", Name: "build_info", Help: "Always 1; the version is a label."}, []string{"version"})
	build.WithLabelValues(version).Set(1)
	m.registry.MustRegister(m.requests, m.requestSeconds, m.connections, m.rejected, m.handshakes, m.upstream, m.upstreamSeconds,
		m.connects, m.retries, m.healthChanges, m.stderrOmitted, m.mcpCalls, m.mcpIgnored, m.acmeEvents, m.reloads, m.lastReload, m.logDropped, m.memoryRefused, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler answers GET /metrics, with what the source's Status says besides.
// It is called once, when the gateway starts.
func (m *Metrics) Handler(source Source) http.Handler {
	m.registry.MustRegister(&statusCollector{source: source})
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Request counts one answered request.
func (m *Metrics) Request(route string, status int, flag string, d time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status), flag).Inc()
	m.requestSeconds.WithLabelValues(route).Observe(d.Seconds())
}

// Opened counts one accepted connection.
func (m *Metrics) Opened(listener string) { m.connections.WithLabelValues(listener).Inc() }

// Rejected counts one connection that was closed unserved.
func (m *Metrics) Rejected(listener, reason string) {
	m.rejected.WithLabelValues(listener, reason).Inc()
}

// Handshake counts one TLS handshake with a client.
func (m *Metrics) Handshake(listener string, err error) {
	m.handshakes.WithLabelValues(listener, outcome(err)).Inc()
}

// Upstream counts one request to an endpoint; status 0 means no answer.
func (m *Metrics) Upstream(cluster, endpoint string, status int, d time.Duration) {
	m.upstream.WithLabelValues(cluster, endpoint, strconv.Itoa(status)).Inc()
	m.upstreamSeconds.WithLabelValues(cluster).Observe(d.Seconds())
}

// Connected counts one connection to an endpoint.
func (m *Metrics) Connected(cluster, endpoint string, err error) {
	m.connects.WithLabelValues(cluster, endpoint, outcome(err)).Inc()
}

// Retried counts one request that was sent again.
func (m *Metrics) Retried(cluster string) { m.retries.WithLabelValues(cluster).Inc() }

// Health counts one change of an endpoint's health.
func (m *Metrics) Health(cluster, endpoint string, healthy bool) {
	to := "unhealthy"
	if healthy {
		to = "healthy"
	}
	m.healthChanges.WithLabelValues(cluster, endpoint, to).Inc()
}

// StderrOmitted counts lines of a cluster's processes that are not logged.
func (m *Metrics) StderrOmitted(cluster string, lines int) {
	m.stderrOmitted.WithLabelValues(cluster).Add(float64(lines))
}

// MCPCall counts one MCP request to a cluster.
func (m *Metrics) MCPCall(cluster, method, outcome string) {
	m.mcpCalls.WithLabelValues(cluster, method, outcome).Inc()
}

// MCPIgnored counts one thing that a server of a cluster sent and no client gets.
func (m *Metrics) MCPIgnored(cluster string) { m.mcpIgnored.WithLabelValues(cluster).Inc() }

// ACME counts one event of a certificate by ACME.
func (m *Metrics) ACME(event string) { m.acmeEvents.WithLabelValues(event).Inc() }

// LogLinesDropped counts lines of the log that were not written.
func (m *Metrics) LogLinesDropped(lines int) { m.logDropped.Add(float64(lines)) }

// MemoryRefused counts what was refused for want of memory.
func (m *Metrics) MemoryRefused(kind string) { m.memoryRefused.WithLabelValues(kind).Inc() }

// Reloaded counts one reload.
func (m *Metrics) Reloaded(result string, at time.Time) {
	m.reloads.WithLabelValues(result).Inc()
	m.lastReload.WithLabelValues(result).Set(float64(at.UnixMilli()) / 1000)
}

// ForgetCluster drops the series of a cluster that no generation has any more.
func (m *Metrics) ForgetCluster(cluster string) {
	l := prometheus.Labels{"cluster": cluster}
	m.forgetEndpoints(l)
	m.upstreamSeconds.DeletePartialMatch(l)
	m.retries.DeletePartialMatch(l)
	m.stderrOmitted.DeletePartialMatch(l)
	m.mcpCalls.DeletePartialMatch(l)
	m.mcpIgnored.DeletePartialMatch(l)
}

// ForgetEndpoint drops those of an endpoint.
func (m *Metrics) ForgetEndpoint(cluster, endpoint string) {
	m.forgetEndpoints(prometheus.Labels{"cluster": cluster, "endpoint": endpoint})
}

func (m *Metrics) forgetEndpoints(l prometheus.Labels) {
	m.upstream.DeletePartialMatch(l)
	m.connects.DeletePartialMatch(l)
	m.healthChanges.DeletePartialMatch(l)
}

// ForgetRoute drops those of a route.
func (m *Metrics) ForgetRoute(route string) {
	l := prometheus.Labels{"route": route}
	m.requests.DeletePartialMatch(l)
	m.requestSeconds.DeletePartialMatch(l)
}

// ForgetListener drops those of a listener.
func (m *Metrics) ForgetListener(listener string) {
	l := prometheus.Labels{"listener": listener}
	m.connections.DeletePartialMatch(l)
	m.rejected.DeletePartialMatch(l)
	m.handshakes.DeletePartialMatch(l)
}

func outcome(err error) string {
	if err != nil {
		return "error"
	}
	return "ok"
}
