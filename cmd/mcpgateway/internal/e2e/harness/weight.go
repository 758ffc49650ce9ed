package harness

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Weight is what the process holds, by /proc and its own metrics. Heap is in
// bytes.
type Weight struct{ Goroutines, Descriptors, Heap int }

// Weigh asks the process for its weight now.
func (g *Gateway) Weigh() (w Weight, err error) {
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", g.Cmd.Process.Pid))
	if err != nil {
		return w, err
	}
	w.Descriptors = len(fds)
	body, err := g.Metrics()
	if err != nil {
		return w, err
	}
	for line := range strings.Lines(body) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		f, _ := strconv.ParseFloat(value, 64)
		switch name {
		case "go_goroutines":
			w.Goroutines = int(f)
		case "go_memstats_heap_inuse_bytes":
			w.Heap = int(f)
		}
	}
	return w, nil
}

// SettlesAt waits until nothing drains and the process weighs no more than it
// did.
func (g *Gateway) SettlesAt(before Weight) (after Weight) {
	g.T.Helper()
	g.Eventually("the process to weigh what it did before", func() (err error) {
		if after, err = g.Weigh(); err != nil {
			return err
		}
		s := g.Status()
		// A few of each are in motion at any moment: a scrape, a health check.
		if len(s.Draining) == 0 && after.Goroutines <= before.Goroutines+5 && after.Descriptors <= before.Descriptors+5 && after.Heap <= before.Heap+8<<20 {
			return nil
		}
		return fmt.Errorf("before: %+v, after: %+v, draining: %+v, listeners: %+v, sessions: %d", before, after, s.Draining, s.Listeners, s.Sessions)
	})
	return after
}
