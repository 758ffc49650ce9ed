package observe

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/proxy/logging"
)

func traceClusters(logs *logging.Logs, m *metrics) clusters.Trace {
	requests := m.counter("cluster_requests_total", "Requests sent to endpoints, by status code; code 0 got no answer.", "cluster", "endpoint", "code")
	seconds := m.seconds("cluster_request_duration_seconds", "From sending a request to an endpoint to its response header.", "cluster")
	connects := m.counter("cluster_connects_total", "Connections opened to endpoints, by outcome.", "cluster", "endpoint", "outcome")
	retries := m.counter("cluster_retries_total", "Requests sent again.", "cluster")
	healthChanges := m.counter("cluster_health_changes_total", "Times that an endpoint's health changed.", "cluster", "endpoint", "to")
	return clusters.Trace{
		Health: func(cluster, endpoint string, healthy bool, err error) {
			log := logs.Logger()
			if healthy {
				healthChanges.WithLabelValues(cluster, endpointLabel(endpoint), "healthy").Inc()
				log.Info().Str("cluster", cluster).Str("endpoint", endpoint).Msg("endpoint is healthy")
				return
			}
			healthChanges.WithLabelValues(cluster, endpointLabel(endpoint), "unhealthy").Inc()
			log.Warn().Str("cluster", cluster).Str("endpoint", endpoint).Err(err).Msg("endpoint is unhealthy")
		},
		Connected: func(cluster, endpoint string, d time.Duration, err error) {
			connects.WithLabelValues(cluster, endpointLabel(endpoint), outcome(err)).Inc()
			if err != nil {
				logs.Logger().Debug().Str("cluster", cluster).Str("endpoint", endpoint).Dur("duration_ms", d).Err(err).Msg("connecting to the endpoint failed")
			}
		},
		Request: func(cluster, endpoint string, status int, d time.Duration, err error) {
			requests.WithLabelValues(cluster, endpointLabel(endpoint), strconv.Itoa(status)).Inc()
			seconds.WithLabelValues(cluster).Observe(d.Seconds())
			if err != nil {
				logs.Logger().Debug().Str("cluster", cluster).Str("endpoint", endpoint).Dur("duration_ms", d).Err(err).Msg("a request to the endpoint failed")
			}
		},
		Retry: func(cluster, endpoint, reason string) {
			retries.WithLabelValues(cluster).Inc()
			logs.Logger().Debug().Str("cluster", cluster).Str("endpoint", endpoint).Str("reason", reason).Msg("a request is sent again")
		},
		Process: traceProcesses(logs, m),
		Resolved: func(cluster, host string, addrs []netip.Addr, err error) {
			log := logs.Logger()
			if err != nil {
				log.Warn().Str("cluster", cluster).Str("host", host).Err(err).Msg("the host name could not be resolved; the last known addresses stay in use")
				return
			}
			log.Debug().Str("cluster", cluster).Str("host", host).Interface("addresses", addrs).Msg("host name resolved")
		},
	}
}

// endpointLabel is the endpoint's URL, for all of its addresses.
func endpointLabel(id string) string {
	if i := strings.LastIndexByte(id, '@'); i >= 0 {
		if _, err := netip.ParseAddr(id[i+1:]); err == nil {
			return id[:i]
		}
	}
	return id
}
