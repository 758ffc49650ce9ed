package observe

import (
	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/proxy/logging"
)

func traceMemory(logs *logging.Logs, m *metrics) *memory.Trace {
	refused := m.counter("memory_refused_total", "What was refused for want of memory, by what it was.", "kind")
	return &memory.Trace{
		Refused: func(k memory.Kind) { refused.WithLabelValues(k.String()).Inc() },
		Changed: func(from, to memory.Level, s memory.Stats) {
			log := logs.Logger()
			e := log.Warn()
			message := "memory is short"
			if to < from {
				e, message = log.Info(), "memory is less short"
			}
			if to == memory.Normal {
				message = "memory is no longer short"
			}
			e.Stringer("shortage", to).Stringer("before", from).Int64("limit", s.Limit).Int64("pressure", s.Pressure).Float64("ratio", s.Ratio()).Msg(message)
		},
	}
}
