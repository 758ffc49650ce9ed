package upstream

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// lifetime is how long a session lasts, and the goroutines that end with it.
// Its methods may be called from any goroutine.
type lifetime struct {
	// ctx ends with the session, however it ends. calls ends at Close alone: the
	// answers under way of a session that is lost may still come.
	ctx, calls        context.Context
	endLife, endCalls context.CancelCauseFunc

	busy atomic.Int64 // calls in flight, and messages that are being sent

	mu    sync.Mutex
	ended bool // no new goroutines
	err   error
	work  sync.WaitGroup
}

func newLifetime() *lifetime {
	l := new(lifetime)
	l.ctx, l.endLife = context.WithCancelCause(context.Background())
	l.calls, l.endCalls = context.WithCancelCause(context.Background())
	return l
}

// end ends the session; err says why it was lost, nil that it is closed.
func (l *lifetime) end(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	l.ended, l.err = true, err
	if err == nil {
		err = ErrClosed
	}
	l.endLife(err)
}

// lostBy ends the session when err says that the server does not know it any
// more.
func (l *lifetime) lostBy(err error) {
	if errors.Is(err, ErrSessionLost) {
		l.end(err)
	}
}

// over reports whether the session has ended.
func (l *lifetime) over() bool { return l.ctx.Err() != nil }

// cause returns why the session was lost: nil while it lives, and after Close.
func (l *lifetime) cause() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// alive returns why nothing can be sent, if so.
func (l *lifetime) alive(ctx context.Context) error {
	if ctx.Err() != nil {
		return &unsentError{context.Cause(ctx)}
	}
	if l.over() {
		return &unsentError{context.Cause(l.ctx)}
	}
	return nil
}

// during runs f, and counts it.
func (l *lifetime) during(ctx context.Context, f func() error) error {
	if err := l.alive(ctx); err != nil {
		return err
	}
	l.busy.Add(1)
	defer l.busy.Add(-1)
	return because(ctx, f())
}

// spawn runs f in a goroutine that Close waits for. It reports false, and does
// not run f, when the session has ended.
func (l *lifetime) spawn(f func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.work.Go(f)
	}
	return !l.ended
}
