package upstream

import (
	"context"
	"time"
)

// lease is the life of one HTTP request. It has the values of the ctx that it
// was made with, and ends with it; but it can be handed on, since what is left
// of an answer may be read after its call has returned.
type lease struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	// untie ends the bond to the caller's ctx, release the one to the session.
	untie, release func() bool
}

// newLease returns a lease that ends with ctx and with owner, a life of the
// session.
func newLease(ctx, owner context.Context) *lease {
	l := new(lease)
	l.ctx, l.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	l.untie = context.AfterFunc(ctx, func() { l.cancel(context.Cause(ctx)) })
	l.release = context.AfterFunc(owner, func() { l.cancel(context.Cause(owner)) })
	return l
}

// handOn unties the lease from the ctx that it was made with. It ends after d
// then, or with the session alone when d is 0.
func (l *lease) handOn(d time.Duration) {
	l.untie()
	if d > 0 {
		timer := time.AfterFunc(d, func() { l.cancel(context.DeadlineExceeded) })
		context.AfterFunc(l.ctx, func() { timer.Stop() })
	}
}

func (l *lease) end() {
	l.untie()
	l.release()
	l.cancel(nil)
}
