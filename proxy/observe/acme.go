package observe

import (
	"time"

	"github.com/rs/zerolog"

	"github.com/mcpgateway/mcpgateway/proxy/logging"
	"github.com/mcpgateway/mcpgateway/tls/acme"
)

func traceACME(logs *logging.Logs, m *metrics) *acme.Trace {
	events := m.counter("acme_events_total", "What happened to certificates by ACME, such as obtained, renewed or failed.", "event")
	return &acme.Trace{Event: func(e acme.Event) {
		events.WithLabelValues(e.Kind).Inc()
		line := logs.Logger().WithLevel(acmeLevel(e)).Str("event", e.Kind).Err(e.Err)
		if e.RetryIn > 0 {
			line = line.Dur("retry_in_ms", e.RetryIn)
		}
		if e.Name == "" {
			line.Msg(acmeSubject(e))
			return
		}
		line = line.Str("name", e.Name)
		if e.Kind == acme.EventFailed {
			line = line.Bool("serving", e.Serving)
		}
		if e.Serving {
			line = line.Time("not_after", e.NotAfter)
		}
		line.Msg("ACME certificate")
	}}
}

// acmeSubject is what an event without a name is about.
func acmeSubject(e acme.Event) string {
	if e.Kind == acme.EventLock {
		return "ACME storage"
	}
	return "ACME account"
}

// acmeLevel is error where clients are turned away, or soon will be, and warn
// where something may come of it.
func acmeLevel(e acme.Event) zerolog.Level {
	switch e.Kind {
	case acme.EventRevoked:
		return zerolog.ErrorLevel
	case acme.EventFailed:
		if !e.Serving || time.Until(e.NotAfter) <= 0 {
			return zerolog.ErrorLevel
		}
		return zerolog.WarnLevel
	case acme.EventUnusable, acme.EventNoStaple, acme.EventUnregistered, acme.EventDamaged, acme.EventLock:
		return zerolog.WarnLevel
	case acme.EventNoRenewal:
		return zerolog.DebugLevel
	}
	return zerolog.InfoLevel
}
