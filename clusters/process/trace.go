package process

// Event is what has happened to a process.
type Event string

// The events of a process.
const (
	// Queued: max_processes run, and a session waits for one of them to end.
	Queued Event = "queued"
	// Started: a process runs.
	Started Event = "started"
	// Exited: it has ended; the error says why.
	Exited Event = "exited"
	// Failed: it could not be started.
	Failed Event = "failed"
)

// Trace is told what happens, for logs and metrics. Any func may be nil. The
// funcs are called synchronously and concurrently: they must not block.
type Trace struct {
	// Event is called for each event; err is nil for Started.
	Event func(cluster string, event Event, err error)
	// Stderr is called with each line, bounded in length, that a process wrote to
	// stderr. A process has 200 lines in ten seconds.
	Stderr func(cluster, line string)
	// StderrOmitted is called with the number of lines above that, when the ten
	// seconds are over or the process has ended.
	StderrOmitted func(cluster string, lines int)
}
