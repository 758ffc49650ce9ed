package upstream

import (
	"context"
	"errors"
	"sync"
	"testing"
)

func TestALifetimeEndsOnce(t *testing.T) {
	l := newLifetime()
	if err := l.alive(t.Context()); err != nil || l.over() {
		t.Fatalf("it is over from the beginning: %v", err)
	}
	l.lostBy(errors.New("another error"))
	if l.over() {
		t.Error("an error that says nothing of the session ends it")
	}
	first := lost(errors.New("first"))
	l.lostBy(first)
	l.end(errors.New("second"))
	if cause := context.Cause(l.ctx); !errors.Is(cause, first) || !errors.Is(l.cause(), first) || !NotSent(l.alive(t.Context())) {
		t.Errorf("it has ended with %v", cause)
	}
	if l.calls.Err() != nil {
		t.Error("the answers under way have ended with it")
	}
	l = newLifetime()
	l.end(nil)
	if !errors.Is(context.Cause(l.ctx), ErrClosed) || l.cause() != nil {
		t.Errorf("one that is closed has ended with %v, %v", context.Cause(l.ctx), l.cause())
	}
}

// What is begun while the session ends is either waited for or not begun.
func TestNoGoroutineBeginsAfterTheEnd(t *testing.T) {
	l := newLifetime()
	var mu sync.Mutex
	waited, late := false, false
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for l.spawn(func() {
				mu.Lock()
				defer mu.Unlock()
				late = late || waited
			}) {
			}
		})
	}
	l.end(nil)
	l.work.Wait()
	mu.Lock()
	waited = true
	mu.Unlock()
	all.Wait()
	if late {
		t.Error("a goroutine ran after they were waited for")
	}
}
