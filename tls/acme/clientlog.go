package acme

import (
	"context"
	"log/slog"
	"slices"

	"github.com/rs/zerolog"
)

// clientLog writes what the ACME client logs into the gateway's log, for
// debugging: its failures are what the Trace is told, with the name and the next
// attempt.
type clientLog struct {
	log   func() *zerolog.Logger
	attrs []slog.Attr
}

// mapLevel makes a detail of all but details.
func mapLevel(l slog.Level) zerolog.Level {
	if l >= slog.LevelInfo {
		return zerolog.DebugLevel
	}
	return zerolog.TraceLevel
}

// Enabled implements slog.Handler.
func (c *clientLog) Enabled(_ context.Context, l slog.Level) bool {
	level := mapLevel(l)
	return level >= c.log().GetLevel() && level >= zerolog.GlobalLevel()
}

// WithAttrs implements slog.Handler.
func (c *clientLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &clientLog{c.log, slices.Concat(c.attrs, attrs)}
}

// WithGroup implements slog.Handler. The client makes no groups.
func (c *clientLog) WithGroup(string) slog.Handler { return c }

// Handle implements slog.Handler.
func (c *clientLog) Handle(_ context.Context, r slog.Record) error {
	fields := map[string]any{}
	add := func(a slog.Attr) bool {
		switch v := a.Value.Resolve().Any().(type) {
		case string:
			fields[a.Key] = shorten(v)
		case error:
			fields[a.Key] = shorten(v.Error())
		default:
			fields[a.Key] = v
		}
		return true
	}
	for _, a := range c.attrs {
		add(a)
	}
	r.Attrs(add)
	// Headers carry nonces, and cookies of whatever stands before an authority.
	delete(fields, "headers")
	delete(fields, "response_headers")
	c.log().WithLevel(mapLevel(r.Level)).Str("component", "acme").Fields(fields).Msg(r.Message)
	return nil
}
