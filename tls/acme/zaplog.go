package acme

import (
	"github.com/rs/zerolog"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// zapCore writes what certmagic logs into the gateway's log, for debugging: its
// failures are what the Trace is told, with the name and the next attempt.
type zapCore struct {
	log    func() *zerolog.Logger
	fields []zapcore.Field
}

// newZap is certmagic's logger.
func newZap(log func() *zerolog.Logger) *zap.Logger {
	return zap.New(&zapCore{log: log})
}

func mapLevel(l zapcore.Level) zerolog.Level {
	if l >= zapcore.InfoLevel {
		return zerolog.DebugLevel
	}
	return zerolog.TraceLevel
}

// Enabled implements zapcore.LevelEnabler.
func (c *zapCore) Enabled(l zapcore.Level) bool {
	level := mapLevel(l)
	return level >= c.log().GetLevel() && level >= zerolog.GlobalLevel()
}

// With implements zapcore.Core.
func (c *zapCore) With(fields []zapcore.Field) zapcore.Core {
	joined := make([]zapcore.Field, 0, len(c.fields)+len(fields))
	return &zapCore{log: c.log, fields: append(append(joined, c.fields...), fields...)}
}

// Check implements zapcore.Core.
func (c *zapCore) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return checked.AddCore(e, c)
	}
	return checked
}

// Write implements zapcore.Core.
func (c *zapCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	values := zapcore.NewMapObjectEncoder()
	for _, list := range [][]zapcore.Field{c.fields, fields} {
		for _, f := range list {
			f.AddTo(values)
		}
	}
	// Headers carry nonces, and cookies of whatever stands before an authority.
	for _, key := range []string{"headers", "response_headers", "csr_pem"} {
		delete(values.Fields, key)
	}
	for key, value := range values.Fields {
		if text, ok := value.(string); ok {
			values.Fields[key] = shorten(text)
		}
	}
	event := c.log().WithLevel(mapLevel(e.Level)).Str("component", "acme")
	if e.LoggerName != "" {
		event = event.Str("logger", e.LoggerName)
	}
	event.Fields(values.Fields).Msg(e.Message)
	return nil
}

// Sync implements zapcore.Core.
func (c *zapCore) Sync() error { return nil }
