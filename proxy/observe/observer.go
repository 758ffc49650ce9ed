package observe

import (
	"io"
	"net/http"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/proxy/admin"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/logging"
	"github.com/mcpgateway/mcpgateway/proxy/mcp"
	"github.com/mcpgateway/mcpgateway/tls/acme"
	"github.com/mcpgateway/mcpgateway/tls/spiffe"
)

// An Observer has one receiver for each package that tells what happens. There is
// one a process, made by New; the zero value receives nothing but Access.
type Observer struct {
	Logs *logging.Logs

	Listeners *listeners.Trace
	Clusters  clusters.Trace
	Auth      *filter.AuthTrace
	MCP       *mcp.Trace
	// Moved receives an MCP endpoint that redirects, and the path that is asked
	// from now on.
	Moved  func(cluster, endpoint, path string)
	ACME   *acme.Trace
	SPIFFE *spiffe.Trace
	Memory *memory.Trace

	// Reloaded counts a reload that has ended.
	Reloaded func(admin.Outcome)

	request func(listener string, e *filter.Entry)
	metrics *metrics
}

// New logs to stderr until another sink is put in force. version labels
// build_info.
func New(stderr io.Writer, version string) *Observer {
	m := newMetrics(version)
	dropped := m.counter("log_lines_dropped_total", "Log lines that were not written, since the log could not take them as fast as they came.").WithLabelValues()
	logs := logging.New(stderr, func(lines int) { dropped.Add(float64(lines)) })
	return &Observer{
		Logs:      logs,
		Listeners: traceListeners(logs, m),
		Clusters:  traceClusters(logs, m),
		Auth:      traceAuth(logs),
		MCP:       traceMCP(logs, m),
		Moved:     traceMoved(logs),
		ACME:      traceACME(logs, m),
		SPIFFE:    traceSPIFFE(logs),
		Memory:    traceMemory(logs, m),
		Reloaded:  traceReloads(m),
		request:   traceRequests(logs, m),
		metrics:   m,
	}
}

// MetricsPage answers GET /metrics, with what the source's Status says besides. It
// is called once a process.
func (o *Observer) MetricsPage(source admin.Source) http.Handler {
	return admin.MetricsPage(o.metrics.registry, source)
}
