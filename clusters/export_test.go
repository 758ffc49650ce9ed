package clusters

import "time"

// Delay returns how long after now a process of the command may be started for
// owner, and why that is refused.
func (e *Endpoint) Delay(owner *Backoff, now time.Time) (time.Duration, error) {
	return e.command.delay(owner, now)
}

// CommandBackoff is that of all who start processes of the command.
func (e *Endpoint) CommandBackoff() *Backoff { return &e.command.backoff }

// Failed takes note of a process that ended by itself.
func (b *Backoff) Failed(err error, now time.Time) { b.failed(err, 0, now) }
