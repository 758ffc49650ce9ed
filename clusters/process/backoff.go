package process

import (
	"context"
	"fmt"
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

// Backoff keeps a process that fails from being started again and again. Each
// owner of processes of a command has one: the crashes of its processes delay no
// other owner. The zero Backoff delays nothing, and neither does nil.
type Backoff struct {
	mu       sync.Mutex
	failures int // in a row
	until    time.Time
	err      error // the last failure
}

// wait is how long to wait before the next start, and why.
func (b *Backoff) wait(now time.Time) (time.Duration, error) {
	if b == nil {
		return 0, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.until.Sub(now), b.err
}

// Await waits, as a start for the owner does, until the owner may use a process
// of the command that runs already.
func (b *Backoff) Await(ctx context.Context) error {
	wait, last := b.wait(time.Now())
	if wait > maxOwnWait {
		return refusal(wait, last)
	}
	return sleep(ctx, wait)
}

// refusal is the error of a start that would have to wait for too long.
func refusal(wait time.Duration, last error) error {
	return fmt.Errorf("the command failed, and is started again in %v: %w", wait.Round(time.Second), last)
}

// Ended takes note of a process that ended by itself while several used it,
// one of whom the Backoff belongs to. err says why, lived is its age.
func (b *Backoff) Ended(err error, lived time.Duration) { b.failed(err, lived, time.Now()) }

// failed takes note of a process that could not be started, or ended by itself
// after it had lived for the given time.
func (b *Backoff) failed(err error, lived time.Duration, now time.Time) {
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

// succeeded takes note of a start that succeeded.
func (b *Backoff) succeeded() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures, b.until, b.err = 0, time.Time{}, nil
}

// sleep waits for d. The error is the cause of ctx's end.
func sleep(ctx context.Context, d time.Duration) error {
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
	return context.Cause(ctx)
}
