package observe

import "github.com/mcpgateway/mcpgateway/proxy/admin"

func traceReloads(m *metrics) func(admin.Outcome) {
	reloads := m.counter("reloads_total", "Reloads, by result.", "result")
	last := m.gauge("last_reload_timestamp_seconds", "When a reload last ended, by result.", "result")
	return func(o admin.Outcome) {
		reloads.WithLabelValues(o.Result).Inc()
		last.WithLabelValues(o.Result).Set(float64(o.Time.UnixMilli()) / 1000)
	}
}

// LogReload writes the lines of a reload: its warnings, its outcome, and what was
// wrong with the file.
func (x *Observer) LogReload(o admin.Outcome) {
	log := x.Logs.ReloadLogger()
	for _, w := range o.Warnings {
		log.Warn().Msg(w)
	}
	switch o.Result {
	case admin.Applied:
		log.Info().Uint64("generation", o.Generation).Str("trigger", o.Trigger).Msg(o.Line())
	case admin.Unchanged:
		log.Info().Uint64("generation", o.Generation).Str("trigger", o.Trigger).Msg("nothing changed")
	default:
		msg := "reload rejected; the running generation serves on"
		if o.Generation == 0 {
			msg = "the gateway cannot start; nothing is served"
		}
		log.Error().Uint64("generation", o.Generation).Str("trigger", o.Trigger).Int("errors", len(o.Errors)).Msg(msg)
		for _, e := range o.Errors {
			log.Error().Msg(e)
		}
	}
}
