package observe

import (
	"net"
	"strings"
	"time"

	"github.com/mcpgateway/mcpgateway/listeners"
	"github.com/mcpgateway/mcpgateway/proxy/logging"
)

func traceListeners(logs *logging.Logs, m *metrics) *listeners.Trace {
	connections := m.counter("listener_connections_total", "Connections accepted.", "listener")
	rejected := m.counter("listener_rejected_total", "Connections closed unserved, by reason.", "listener", "reason")
	handshakes := m.counter("listener_handshakes_total", "TLS handshakes, by outcome.", "listener", "outcome")
	return &listeners.Trace{
		Opened: func(listener string) { connections.WithLabelValues(listener).Inc() },
		Rejected: func(listener, reason string, remote net.Addr, err error) {
			rejected.WithLabelValues(listener, reason).Inc()
			log := logs.Logger()
			e := log.Debug()
			if err != nil { // only from proxy_protocol.from: it is for the operator to mend
				e = log.Info().Err(err)
			}
			e.Str("listener", listener).Str("reason", reason).Stringer("remote", remote).Msg("connection rejected")
		},
		Handshake: func(listener string, remote net.Addr, err error, d time.Duration) {
			handshakes.WithLabelValues(listener, outcome(err)).Inc()
			if err != nil {
				logs.Logger().Info().Str("listener", listener).Stringer("remote", remote).Err(err).Dur("duration_ms", d).Msg("TLS handshake failed")
			}
		},
		AcceptError: func(address string, err error) {
			logs.Logger().Error().Str("address", address).Err(err).Msg("accepting a connection failed; the listener goes on")
		},
		Advice: func(message string) { logs.Logger().Warn().Msg(message) },
		Error: func(listener, message string) {
			logs.Logger().Warn().Str("listener", listener).Str("complaint", strings.TrimSpace(message)).Msg("the protocol server reported a problem")
		},
	}
}
