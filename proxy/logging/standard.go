package logging

import (
	"bytes"
	"io"
)

// StandardWriter takes the lines that net/http and others write with package
// log. They would go to stderr by themselves, past the configured log, and would
// wait for its reader.
func (l *Logs) StandardWriter() io.Writer { return standardWriter{l} }

type standardWriter struct{ logs *Logs }

func (w standardWriter) Write(line []byte) (int, error) {
	w.logs.Logger().Warn().Str("component", "standard library").Bytes("complaint", bytes.TrimSpace(line)).Msg("a package wrote to the standard log")
	return len(line), nil
}
