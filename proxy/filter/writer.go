package filter

import (
	"bufio"
	"net"
	"net/http"
)

// responseWriter counts what goes through it. It keeps every ability that
// http.ResponseController finds in the writer below.
type responseWriter struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// WriteHeader notes the final status; other 1xx answers come before it.
func (w *responseWriter) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *responseWriter) Write(p []byte) (int, error) {
	w.finish()
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// FlushError is what http.ResponseController looks for first.
func (w *responseWriter) FlushError() error {
	w.finish()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack leaves the connection to the caller, who writes the status itself; it can
// only be 101.
func (w *responseWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil && w.status == 0 {
		w.status = http.StatusSwitchingProtocols
	}
	return conn, rw, err
}

// Unwrap gives http.ResponseController the deadlines and full duplex of the
// writer below.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// finish notes the status that net/http sends when a handler names none.
func (w *responseWriter) finish() {
	if w.status == 0 {
		w.status = http.StatusOK
	}
}
