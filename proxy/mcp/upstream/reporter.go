package upstream

import (
	"sync"
	"time"
)

const (
	// ignoredWindow and ignoredReports bound what a session reports, beyond its
	// number, of what it ignores.
	ignoredWindow  = time.Minute
	ignoredReports = 10
)

// DroppedError says that a notification or a request of the server cannot be
// read, and reaches no client.
type DroppedError struct {
	Method string
	err    error
}

func (e *DroppedError) Error() string { return e.Method + ": " + e.err.Error() }

// Unwrap returns what is wrong with it.
func (e *DroppedError) Unwrap() error { return e.err }

// reporter tells of what the server sent and no client gets. A server that sends
// much of it cannot fill the log.
type reporter struct {
	onIgnored func(err error, report bool) // nil: nothing is told

	mu    sync.Mutex
	n     int       // how much was ignored since since
	since time.Time // when the window began
}

// ignore tells of one thing.
func (r *reporter) ignore(err error) {
	if r.onIgnored == nil {
		return
	}
	now := time.Now()
	r.mu.Lock()
	if now.Sub(r.since) >= ignoredWindow {
		r.since, r.n = now, 0
	}
	r.n++
	report := r.n <= ignoredReports
	r.mu.Unlock()
	r.onIgnored(err, report)
}
