package observe

import (
	"errors"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/logging"
	"github.com/mcpgateway/mcpgateway/proxy/mcp"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/spec"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

func traceMCP(logs *logging.Logs, m *metrics) *mcp.Trace {
	calls := m.counter("mcp_calls_total", "MCP requests sent to clusters, by method and outcome.", "cluster", "method", "outcome")
	ignored := m.counter("mcp_ignored_total", "What MCP servers sent and no client gets, such as what a command prints on its stdout besides messages.", "cluster")
	return &mcp.Trace{
		SessionOpened: func(route string) { logs.Logger().Debug().Str("route", route).Msg("session opened") },
		SessionClosed: func(route, reason string) {
			logs.Logger().Debug().Str("route", route).Str("reason", reason).Msg("session closed")
		},
		Upstream: func(route, cluster, endpoint string, err error) {
			if err != nil {
				logs.Logger().Warn().Str("route", route).Str("cluster", cluster).Str("endpoint", endpoint).Err(err).Msg("upstream session could not be opened")
			}
		},
		UpstreamLost: func(route, cluster, endpoint string, err error) {
			logs.Logger().Info().Str("route", route).Str("cluster", cluster).Str("endpoint", endpoint).Err(err).Msg("upstream session lost; it is initialised anew when needed")
		},
		Ignored: func(route, cluster, endpoint string, err error, report bool) {
			ignored.WithLabelValues(cluster).Inc()
			if !report {
				return
			}
			line := logs.Logger().Debug()
			if errors.As(err, new(*upstream.DroppedError)) {
				line = logs.Logger().Warn() // a client would have got it
			}
			line.Str("route", route).Str("cluster", cluster).Str("endpoint", endpoint).Err(err).Msg("what the server sent is ignored")
		},
		Call: func(route, cluster, method, flag string, d time.Duration) {
			outcome := "ok"
			if flag != "" {
				outcome = flag
			}
			calls.WithLabelValues(cluster, methodLabel(method), outcome).Inc()
		},
		Unavailable: func(route, method string, clusters []string, err error) {
			logs.Logger().Warn().Str("route", route).Str("method", method).Strs("clusters", clusters).Err(err).Msg("a request is answered without these clusters")
		},
		Name: func(route, cluster, kind, name, reason string) {
			logs.Logger().Warn().Str("route", route).Str("cluster", cluster).Str(kind, name).Msg(reason)
		},
		ToolChanged: func(route, cluster, tool, old, new string) {
			logs.Logger().Warn().Str("route", route).Str("cluster", cluster).Str("tool", tool).Str("old", old).Str("new", new).Msg("the definition of a tool changed")
		},
		ServerRequest: func(route, cluster, method string, err error) {
			if err != nil {
				logs.Logger().Debug().Str("route", route).Str("cluster", cluster).Str("method", method).Err(err).Msg("a server's request to the client failed")
			}
		},
	}
}

func traceMoved(logs *logging.Logs) func(cluster, endpoint, path string) {
	return func(cluster, endpoint, path string) {
		logs.Logger().Warn().Str("cluster", cluster).Str("endpoint", endpoint).Str("path", path).
			Msg("the MCP endpoint redirects to another path, which is asked from now on; name it in endpoints")
	}
}

// methodLabel is the method of a request to a server, if the specification
// knows it: clients may send any.
func methodLabel(method string) string {
	if spec.Request(method).Name == "" {
		return "other"
	}
	return method
}
