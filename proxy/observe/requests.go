package observe

import (
	"net/http"
	"strconv"

	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/logging"
)

// Access serves requests of a listener by next, counts each and writes its line of the
// access log. It wraps everything that a request meets, so that also a request
// that no route wants leaves its line.
func (o *Observer) Access(listener string, next http.Handler) http.Handler {
	return filter.AccessLog(next, func(e *filter.Entry) { o.request(listener, e) })
}

func traceRequests(logs *logging.Logs, m *metrics) func(listener string, e *filter.Entry) {
	requests := m.counter("requests_total", "Requests answered, by route, status code and response flag.", "route", "code", "flag")
	seconds := m.seconds("request_duration_seconds", "From the first byte of a request to the last of its answer.", "route")
	return func(listener string, e *filter.Entry) {
		requests.WithLabelValues(e.Route, strconv.Itoa(e.Status), string(e.Flag)).Inc()
		seconds.WithLabelValues(e.Route).Observe(e.Duration.Seconds())
		if logs.Access() {
			logRequest(logs, listener, e)
		}
	}
}

func logRequest(logs *logging.Logs, listener string, e *filter.Entry) {
	line := logs.Logger().Info().
		Time("began", e.Time).
		Str("listener", listener).
		Str("client", e.Client).
		Str("protocol", e.Protocol).
		Str("method", e.Method).
		Str("host", e.Host).
		Str("path", e.Path).
		Int("status", e.Status).
		Int64("bytes", e.Bytes).
		Dur("duration_ms", e.Duration).
		Uint64("generation", e.Generation).
		Str("request_id", e.RequestID)
	for _, f := range [...]struct{ name, value string }{
		{"route", e.Route}, {"cluster", e.Cluster}, {"endpoint", e.Endpoint}, {"peer", e.Peer}, {"principal", e.Principal},
		{"mcp_method", e.MCPMethod}, {"mcp_tool", e.MCPTool}, {"flag", string(e.Flag)}, {"reason", e.Reason},
	} {
		if f.value != "" {
			line = line.Str(f.name, f.value)
		}
	}
	line.Msg("request")
}
