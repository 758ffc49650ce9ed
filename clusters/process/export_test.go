package process

import "time"

// Delay returns how long after now a process of the command may be started for
// owner, and why that is refused.
func (c *Command) Delay(owner *Backoff, now time.Time) (time.Duration, error) {
	return c.delay(owner, now)
}

// Backoff is that of all who start processes of the command.
func (c *Command) Backoff() *Backoff { return &c.backoff }

// Failed takes note of a process that ended by itself.
func (b *Backoff) Failed(err error, now time.Time) { b.failed(err, 0, now) }
