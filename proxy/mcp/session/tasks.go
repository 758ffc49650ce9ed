package session

import (
	"context"
	"sync"
)

// tasks are goroutines that outlive sessions. Unlike a sync.WaitGroup they may begin
// while the end of all is waited for. The lock is taken last.
type tasks struct {
	mu      sync.Mutex
	running int
	idle    chan struct{} // closed when none runs, once it is waited for
}

// run runs f on a goroutine that wait waits for.
func (t *tasks) run(f func()) {
	t.mu.Lock()
	t.running++
	t.mu.Unlock()
	go func() {
		defer func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			if t.running--; t.running == 0 && t.idle != nil {
				close(t.idle)
				t.idle = nil
			}
		}()
		f()
	}()
}

// wait waits until none has been running, or ctx is done. It may be called once.
func (t *tasks) wait(ctx context.Context) {
	idle := make(chan struct{})
	t.mu.Lock()
	if t.idle = idle; t.running == 0 {
		close(idle)
		t.idle = nil
	}
	t.mu.Unlock()
	select {
	case <-idle:
	case <-ctx.Done():
	}
}
