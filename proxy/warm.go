package proxy

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
)

const (
	// tellWaitAfter is how long a generation waits for health checks before the log
	// tells it: most answer at once.
	tellWaitAfter = time.Second
	// tellWaitEvery is the time between two such lines.
	tellWaitEvery = 10 * time.Second
)

// warm waits for the first health check of each new cluster, for timeout at most, and
// tells in the log that it waits: at the start nothing else shows that the process
// does not hang.
func (g *Gateway) warm(ctx context.Context, set *clusters.Set, timeout time.Duration) {
	until := time.Now().Add(timeout)
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	var telling sync.WaitGroup
	warmed := make(chan struct{})
	telling.Go(func() {
		t := time.NewTimer(g.tellWaitAfter)
		defer t.Stop()
		for {
			select {
			case <-warmed:
				return
			case <-t.C:
				g.tellWait(set.Warming(), until)
				t.Reset(tellWaitEvery)
			}
		}
	})
	set.Warm(ctx)
	close(warmed)
	telling.Wait()
}

func (g *Gateway) tellWait(names []string, until time.Time) {
	if len(names) == 0 {
		return // the last one has answered just now
	}
	list := strings.Join(names[:min(len(names), mostNamed)], ", ")
	if more := len(names) - mostNamed; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	g.observer.Logs.ReloadLogger().Info().Time("until", until).
		Msg("waiting for the first health check of clusters before the file is applied, at most until reload.warm_timeout ends: " + list)
}
