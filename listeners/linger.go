package listeners

import (
	"net/http"
	"time"
)

const (
	// lingerTime is how long what follows an answer of 400 and above may come.
	lingerTime = 10 * time.Second
	// lingerIdle is how long nothing of it may come. It has to be longer than a
	// round trip: a client may wait for room to send.
	lingerIdle = 500 * time.Millisecond
)

// linger reads the rest of the body of a request of HTTP/2 or 3 that was refused
// before all of it had come, and drops it. Otherwise the stream ends with
// RST_STREAM or STOP_SENDING, as it may (RFC 9113 section 8.1, RFC 9114 section
// 4.1), and clients that look for an answer only when they have sent everything
// wait in vain for room to send, or take the end for an error. An answer that is
// no refusal ends at once: trailers wait for the end of the handler.
func (r *response) linger() {
	if r.version == 1 || r.status < http.StatusBadRequest || r.body == nil || r.body.ended.Load() || r.body.refused != nil || r.body.unasked.Load() {
		return
	}
	if r.FlushError() != nil {
		return
	}
	patience := r.conn.server.restIdle
	idle := time.AfterFunc(patience, func() { _ = r.body.controller.SetReadDeadline(longAgo) })
	defer idle.Stop()
	dropped := make([]byte, 32<<10)
	for end := time.Now().Add(lingerTime); time.Now().Before(end); idle.Reset(patience) {
		if _, err := r.body.Read(dropped); err != nil {
			return
		}
	}
}
