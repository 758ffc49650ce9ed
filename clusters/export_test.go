package clusters

import "time"

// Delay returns how long after now a process of the command may be started for
// owner.
func (e *Endpoint) Delay(owner *Backoff, now time.Time) time.Duration {
	wait, _ := e.command.wait(owner, now)
	return wait
}
