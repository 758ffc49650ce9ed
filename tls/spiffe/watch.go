package spiffe

import (
	"context"

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
	failure  error     // the last, since the last delivery
	waiting  int       // calls of Get
	over     bool      // nothing will be delivered any more
	// moved is closed with the first delivery and when the watch is over.
	moved chan struct{}
	still bool // moved is open
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
	_ = client.WatchX509Context(ctx, &watcher{w, ctx})
}

// watcher is the face that a watch shows to go-spiffe.
type watcher struct {
	*watch
	ctx context.Context
}

// OnX509ContextUpdate implements workloadapi.X509ContextWatcher.
func (w *watcher) OnX509ContextUpdate(x *workloadapi.X509Context) {
	m, err := newMaterial(x)
	if err != nil {
		w.fail(w.ctx, err)
		return
	}
	w.deliver(w.ctx, m)
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

	s.trace.updated(w.socket, m.ID)
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

func (w *watch) move() {
	if w.still {
		w.still = false
		close(w.moved)
	}
}

// stale reports whether there is something that nobody has got or waits for.
func (w *watch) stale() bool {
	return w.waiting == 0 && w.current != nil && !w.current.equal(w.returned)
}
