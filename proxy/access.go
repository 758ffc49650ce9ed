package proxy

import (
	"github.com/mcpgateway/mcpgateway/proxy/filter"
)

// record counts one request and writes its line of the access log.
func (g *Gateway) record(listener string, e *filter.Entry) {
	g.metrics.Request(e.Route, e.Status, string(e.Flag), e.Duration)
	if !g.logs.Access() {
		return
	}
	line := g.logs.Logger().Info().
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
