package clusters

import (
	"sync"
	"time"
)

const (
	// The wait after a child process ended by itself doubles from the first to
	// the last of these.
	minBackoff = time.Second
	maxBackoff = time.Minute
	// stableRun is how long a process has to live for its end to count as the
	// first.
	stableRun = time.Minute
)

// backoff keeps a command that fails from being started again and again.
type backoff struct {
	mu       sync.Mutex
	failures int // in a row
	until    time.Time
	err      error // the last failure
}

// wait is how long to wait before the next start, and why.
func (b *backoff) wait(now time.Time) (time.Duration, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.until.Sub(now), b.err
}

// failed takes note of a process that could not be started, or ended by itself
// after it had lived for the given time.
func (b *backoff) failed(err error, lived time.Duration, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if lived >= stableRun {
		b.failures = 0
	}
	// Processes that end together have failed once.
	if b.failures == 0 || !now.Before(b.until) {
		b.failures++
		b.until = now.Add(min(minBackoff<<min(b.failures-1, 6), maxBackoff))
	}
	b.err = err
}
