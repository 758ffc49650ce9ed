package upstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/clusters/process"
)

// silentTime is how long a process that says nothing at all is taken to be
// starting, before a fresh one is tried beside it.
const silentTime = 10 * time.Second

// startTimeError says that a process did not answer in time. It is
// context.DeadlineExceeded.
type startTimeError struct{ limit time.Duration }

func (e startTimeError) Error() string {
	return fmt.Sprintf("the process did not answer within start_timeout (%v); raise it if the command takes longer to start", e.limit)
}

func (startTimeError) Is(target error) bool { return target == context.DeadlineExceeded }

// LaunchTime is the longest time that Open takes with a command: a second
// process may follow the first.
func LaunchTime(c *clusters.Cluster) time.Duration {
	return 2*(c.Config().QueueTimeout+c.Config().StartTimeout) + discoverTime
}

// launchOwn opens a session with a process of the command for it alone. Each
// process has start_timeout to answer, apart from all other bounds but ctx.
//
// Where the server's era is not known, the first process is asked
// server/discover. Older servers answer that with an error, and are then
// initialised; some exit or fall silent, and are initialised in a fresh process
// (MCP 2026-07-28, Versioning, Backward Compatibility). A process that is
// silent may be starting still, so it runs on beside the fresh one.
func (o *opening) launchOwn(ctx context.Context) (*Session, error) {
	if k := o.known.get(); !o.asks(k) || k.discover != nil {
		a := o.start(ctx)
		<-a.done
		return a.session, a.err
	}
	asking, plain := *o, *o
	asking.trial, plain.fallback = true, true
	first, fresh := asking.start(ctx), (*attempt)(nil)
	firstDone, freshDone := first.done, (chan struct{})(nil)
	patience := time.NewTimer(silentTime)
	defer patience.Stop()
	for {
		select {
		case <-firstDone:
			firstDone = nil
			switch {
			case first.err == nil:
				return first.winOver(fresh, false), nil
			case ctx.Err() != nil, NotSent(first.err), errors.Is(first.err, process.ErrOverflow):
				// A fresh process that is not asked server/discover would meet the same.
				fresh.discard()
				return nil, first.err
			case fresh == nil, freshDone == nil && errors.Is(fresh.err, process.ErrOverflow):
				fresh = plain.start(ctx)
				freshDone = fresh.done
				continue
			case freshDone != nil:
				continue
			}
		case <-freshDone:
			freshDone = nil
			switch {
			case firstDone == nil:
			case fresh.err != nil:
				continue // the first may come up yet
			default:
				// The command has had the time to start: what is missing is the
				// answer to server/discover alone.
				patience.Reset(discoverTime)
				continue
			}
		case <-patience.C:
			if fresh == nil {
				beside := plain
				beside.ifFree = true // it may not be needed
				fresh = beside.start(ctx)
				freshDone = fresh.done
				continue
			}
			if freshDone != nil || fresh.err != nil {
				continue
			}
		}
		why := fmt.Errorf("server/discover: %w", errNoAnswer)
		if firstDone == nil {
			why = first.err
		}
		if fresh.err != nil {
			return nil, fmt.Errorf("%w (before that, in another process: %s)", fresh.err, snippet([]byte(why.Error())))
		}
		o.known.legacy(why)
		return fresh.winOver(first, true), nil
	}
}

// attempt is the opening of a session in the background. session and err are set
// before done closes.
type attempt struct {
	cancel  context.CancelCauseFunc
	done    chan struct{}
	session *Session
	err     error
}

func begin(ctx context.Context, open func(ctx context.Context, cancel context.CancelCauseFunc) (*Session, error)) *attempt {
	a := &attempt{done: make(chan struct{})}
	ctx, a.cancel = context.WithCancelCause(ctx)
	go func() {
		defer close(a.done)
		defer a.cancel(nil)
		a.session, a.err = open(ctx, a.cancel)
	}()
	return a
}

func (o *opening) start(ctx context.Context) *attempt {
	return begin(ctx, func(ctx context.Context, cancel context.CancelCauseFunc) (*Session, error) {
		starting := *o
		starting.cancel = cancel
		s, err := starting.begin(ctx, Stdio)
		if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		return s, err
	})
}

// winOver returns the session of a, which owns from now on what is left of the
// other attempt. One that is starting is closed once it has started, unless it
// hangs: package managers leave ruins when they are killed at work.
func (a *attempt) winOver(other *attempt, hangs bool) *Session {
	if other == nil {
		return a.session
	}
	if hangs {
		other.cancel(nil)
	}
	owned := a.session.life.spawn(func() {
		select {
		case <-other.done:
		case <-a.session.Done():
		}
		other.discard()
	})
	if !owned {
		other.discard()
	}
	return a.session
}

// discard ends an attempt. a may be nil.
func (a *attempt) discard() {
	if a == nil {
		return
	}
	a.cancel(nil)
	<-a.done
	if a.session != nil {
		a.session.Close(context.Background()) // a process is stopped in bounded time
	}
}
