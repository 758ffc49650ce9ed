package proxy

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	processes "github.com/mcpgateway/mcpgateway/clusters/process"
	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/proxy/filter"
	"github.com/mcpgateway/mcpgateway/proxy/mcp"
	"github.com/mcpgateway/mcpgateway/proxy/mcp/upstream"
)

// The packages below tell facts; here they become log lines and metrics.

func (g *Gateway) traceListeners() *listeners.Trace {
	return &listeners.Trace{
		Opened: func(listener string) { g.metrics.Opened(listener) },
		Rejected: func(listener, reason string, remote net.Addr, err error) {
			g.metrics.Rejected(listener, reason)
			log := g.logs.Logger()
			e := log.Debug()
			if err != nil { // only from proxy_protocol.from: it is for the operator to mend
				e = log.Info().Err(err)
			}
			e.Str("listener", listener).Str("reason", reason).Stringer("remote", remote).Msg("connection rejected")
		},
		Handshake: func(listener string, remote net.Addr, err error, d time.Duration) {
			g.metrics.Handshake(listener, err)
			if err != nil {
				g.logs.Logger().Info().Str("listener", listener).Stringer("remote", remote).Err(err).Dur("duration_ms", d).Msg("TLS handshake failed")
			}
		},
		AcceptError: func(address string, err error) {
			g.logs.Logger().Error().Str("address", address).Err(err).Msg("accepting a connection failed; the listener goes on")
		},
		Advice: func(message string) { g.logs.Logger().Warn().Msg(message) },
		Error: func(listener, message string) {
			g.logs.Logger().Warn().Str("listener", listener).Str("complaint", strings.TrimSpace(message)).Msg("the protocol server reported a problem")
		},
	}
}

func (g *Gateway) traceClusters() *clusters.Trace {
	return &clusters.Trace{
		Health: func(cluster, endpoint string, healthy bool, err error) {
			g.metrics.Health(cluster, endpointLabel(endpoint), healthy)
			log := g.logs.Logger()
			if healthy {
				log.Info().Str("cluster", cluster).Str("endpoint", endpoint).Msg("endpoint is healthy")
				return
			}
			log.Warn().Str("cluster", cluster).Str("endpoint", endpoint).Err(err).Msg("endpoint is unhealthy")
		},
		Connected: func(cluster, endpoint string, d time.Duration, err error) {
			g.metrics.Connected(cluster, endpointLabel(endpoint), err)
			if err != nil {
				g.logs.Logger().Debug().Str("cluster", cluster).Str("endpoint", endpoint).Dur("duration_ms", d).Err(err).Msg("connecting to the endpoint failed")
			}
		},
		Request: func(cluster, endpoint string, status int, d time.Duration, err error) {
			g.metrics.Upstream(cluster, endpointLabel(endpoint), status, d)
			if err != nil {
				g.logs.Logger().Debug().Str("cluster", cluster).Str("endpoint", endpoint).Dur("duration_ms", d).Err(err).Msg("a request to the endpoint failed")
			}
		},
		Retry: func(cluster, endpoint, reason string) {
			g.metrics.Retried(cluster)
			g.logs.Logger().Debug().Str("cluster", cluster).Str("endpoint", endpoint).Str("reason", reason).Msg("a request is sent again")
		},
		Process: processes.Trace{
			Event: func(cluster string, event processes.Event, err error) {
				log := g.logs.Logger()
				e := log.Debug()
				switch {
				case event == processes.Queued, errors.Is(err, processes.ErrTaken):
					e = log.Info().Err(err)
				case err != nil && !errors.Is(err, processes.ErrStopped):
					e = log.Warn().Err(err)
				}
				e.Str("cluster", cluster).Str("event", string(event)).Msg("child process")
			},
			Stderr: func(cluster, line string) {
				g.logs.Logger().Info().Str("cluster", cluster).Str("stderr", line).Msg("a child process wrote to stderr")
			},
			StderrOmitted: func(cluster string, lines int) {
				g.metrics.StderrOmitted(cluster, lines)
				g.logs.Logger().Warn().Str("cluster", cluster).Int("lines", lines).Msg("a child process wrote more to stderr than is logged; these lines are left out")
			},
		},
		Resolved: func(cluster, host string, addrs []netip.Addr, err error) {
			log := g.logs.Logger()
			if err != nil {
				log.Warn().Str("cluster", cluster).Str("host", host).Err(err).Msg("the host name could not be resolved; the last known addresses stay in use")
				return
			}
			log.Debug().Str("cluster", cluster).Str("host", host).Interface("addresses", addrs).Msg("host name resolved")
		},
	}
}

func (g *Gateway) traceAuth() *filter.AuthTrace {
	return &filter.AuthTrace{
		JWKS: func(url string, keys int, err error) {
			log := g.logs.Logger()
			if err != nil {
				log.Warn().Str("url", url).Err(err).Msg("the key set could not be fetched; the last known keys stay in use")
				return
			}
			log.Debug().Str("url", url).Int("keys", keys).Msg("key set fetched")
		},
	}
}

func (g *Gateway) traceMCP() *mcp.Trace {
	return &mcp.Trace{
		SessionOpened: func(route string) { g.logs.Logger().Debug().Str("route", route).Msg("session opened") },
		SessionClosed: func(route, reason string) {
			g.logs.Logger().Debug().Str("route", route).Str("reason", reason).Msg("session closed")
		},
		Upstream: func(route, cluster, endpoint string, err error) {
			if err != nil {
				g.logs.Logger().Warn().Str("route", route).Str("cluster", cluster).Str("endpoint", endpoint).Err(err).Msg("upstream session could not be opened")
			}
		},
		UpstreamLost: func(route, cluster, endpoint string, err error) {
			g.logs.Logger().Info().Str("route", route).Str("cluster", cluster).Str("endpoint", endpoint).Err(err).Msg("upstream session lost; it is initialised anew when needed")
		},
		Ignored: func(route, cluster, endpoint string, err error, report bool) {
			g.metrics.MCPIgnored(cluster)
			if !report {
				return
			}
			line := g.logs.Logger().Debug()
			if errors.As(err, new(*upstream.DroppedError)) {
				line = g.logs.Logger().Warn() // a client would have got it
			}
			line.Str("route", route).Str("cluster", cluster).Str("endpoint", endpoint).Err(err).Msg("what the server sent is ignored")
		},
		Call: func(route, cluster, method, flag string, d time.Duration) {
			outcome := "ok"
			if flag != "" {
				outcome = flag
			}
			g.metrics.MCPCall(cluster, methodLabel(method), outcome)
		},
		Unavailable: func(route, method string, clusters []string, err error) {
			g.logs.Logger().Warn().Str("route", route).Str("method", method).Strs("clusters", clusters).Err(err).Msg("a request is answered without these clusters")
		},
		Name: func(route, cluster, kind, name, reason string) {
			g.logs.Logger().Warn().Str("route", route).Str("cluster", cluster).Str(kind, name).Msg(reason)
		},
		ToolChanged: func(route, cluster, tool, old, new string) {
			g.logs.Logger().Warn().Str("route", route).Str("cluster", cluster).Str("tool", tool).Str("old", old).Str("new", new).Msg("the definition of a tool changed")
		},
		ServerRequest: func(route, cluster, method string, err error) {
			if err != nil {
				g.logs.Logger().Debug().Str("route", route).Str("cluster", cluster).Str("method", method).Err(err).Msg("a server's request to the client failed")
			}
		},
	}
}

// endpointMoved tells of an MCP endpoint that redirects.
func (g *Gateway) endpointMoved(cluster, endpoint, path string) {
	g.logs.Logger().Warn().Str("cluster", cluster).Str("endpoint", endpoint).Str("path", path).
		Msg("the MCP endpoint redirects to another path, which is asked from now on; name it in endpoints")
}
