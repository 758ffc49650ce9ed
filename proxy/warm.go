package proxy

import (
	"context"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/proxy/logging"
)

const (
	// reportWaitAfter is how long a generation waits for health checks before the log
	// says so: most answer at once.
	reportWaitAfter = time.Second
	// reportWaitEvery is the time between two such lines.
	reportWaitEvery = 10 * time.Second
)

// warm waits for the first health check of each new cluster, for timeout at most, and
// says in the log that it waits, from reportAfter on: at the start nothing else
// shows that the process does not hang.
func warm(ctx context.Context, logs *logging.Logs, set *clusters.Set, reportAfter, timeout time.Duration) {
	until := time.Now().Add(timeout)
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	warmed := make(chan struct{})
	go func() { set.Warm(ctx); close(warmed) }()
	for wait := reportAfter; ; wait = reportWaitEvery {
		select {
		case <-warmed:
			return
		case <-time.After(wait):
			reportWait(logs, set.Warming(), until)
		}
	}
}

func reportWait(logs *logging.Logs, names []string, until time.Time) {
	if len(names) == 0 {
		return // the last one has answered just now
	}
	logs.ReloadLogger().Info().Time("until", until).
		Msg("waiting for the first health check of clusters before the file is applied, at most until reload.warm_timeout ends: " + enumerate(names, ", "))
}
