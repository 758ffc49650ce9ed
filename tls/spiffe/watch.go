package spiffe

import (
	"context"
	"errors"
	"time"

	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// watch listens to one Workload API. Its fields below sources are guarded by
// the mutex of Sources.
type watch struct {
	sources *Sources
	socket  string
	cancel  context.CancelFunc

	current  *Material // delivered last
	returned *Material // by Get, last
	told     *Material // the one that changed was called for, last
	failure  error     // the last, since the last delivery
	waiting  int       // calls of Get
	over     bool      // nothing will be delivered any more
	// moved is closed with the first delivery and when the watch is over.
	moved chan struct{}
	move  func() // closes moved, once
}

// run watches until ctx ends or the Workload API says that trying again is
// pointless, which it does with InvalidArgument.
func (w *watch) run(ctx context.Context) {
	defer w.end()
	client, err := dial(ctx, w.socket)
	if err != nil {
		w.fail(ctx, err)
		return
	}
	defer client.Close()
	// Every error has been given to OnX509ContextWatchError.
	_ = client.WatchX509Context(ctx, &watcher{w, ctx, func() {}})
}

// watcher is the face that a watch shows to go-spiffe.
type watcher struct {
	*watch
	ctx context.Context
	// drop gives up what has been delivered before its time.
	drop context.CancelFunc
}

// OnX509ContextUpdate implements workloadapi.X509ContextWatcher.
func (w *watcher) OnX509ContextUpdate(x *workloadapi.X509Context) {
	w.drop()
	var ctx context.Context
	ctx, w.drop = context.WithCancel(w.ctx)
	w.take(ctx, x)
}

// take delivers what is in date. What is not yet has to wait here, since an
// agent sends it once: a host whose clock is behind would never get any.
func (w *watcher) take(ctx context.Context, x *workloadapi.X509Context) {
	m, err := newMaterial(x, time.Now())
	if err == nil {
		w.deliver(ctx, m)
		return
	}
	w.fail(ctx, err)
	early, ok := errors.AsType[*earlyError](err)
	if !ok {
		return
	}
	w.sources.running.Go(func() {
		select {
		case <-time.After(time.Until(early.from.Add(-skew))):
			w.take(ctx, x)
		case <-ctx.Done():
		}
	})
}

// OnX509ContextWatchError implements workloadapi.X509ContextWatcher.
func (w *watcher) OnX509ContextWatchError(err error) { w.fail(w.ctx, err) }

func (w *watch) deliver(ctx context.Context, m *Material) {
	s := w.sources
	s.mu.Lock()
	w.failure = nil
	if ctx.Err() != nil || m.equal(w.current) {
		s.mu.Unlock()
		return
	}
	w.current = m
	w.move()
	s.mu.Unlock()

	s.trace.updated(w.socket, m.ID.String())
	select {
	case s.wake <- struct{}{}:
	default: // the call that is due will see this delivery too
	}
}

func (w *watch) fail(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return // we have ended it
	}
	s := w.sources
	s.mu.Lock()
	w.failure = err
	s.mu.Unlock()
	s.trace.failed(w.socket, err)
}

func (w *watch) end() {
	w.sources.mu.Lock()
	defer w.sources.mu.Unlock()
	w.over = true
	w.cancel()
	w.move()
}

// news reports whether there is something that no reader has got or waits for, and
// for which changed has not been called.
func (w *watch) news() bool {
	if w.waiting > 0 || w.current == nil || w.current == w.told || w.current.equal(w.returned) {
		return false
	}
	w.told = w.current
	return true
}
