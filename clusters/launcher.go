package clusters

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"time"
)

// How long Start waits for the backoff of the command, and for that of the
// owner, to pass; a longer one is an error at once. The first holds up all who
// use the command. The second holds up one client, which rather waits a few
// seconds for a server that was restarted than lose a call.
const (
	maxStartWait = time.Second
	maxOwnWait   = 4 * time.Second
)

// launcher starts the processes of a command.
type launcher struct {
	cluster string
	argv    []string
	dir     string
	environ []string
	trace   *Trace
	// backoff delays every start, because starts fail.
	backoff Backoff
	// serving is how many processes live of those that Serving was told of.
	serving atomic.Int64
}

func newLauncher(cfg *Config, base []string, trace *Trace) *launcher {
	return &launcher{cluster: cfg.Name, argv: cfg.Command, dir: string(cfg.Dir), environ: cfg.environ(base), trace: trace}
}

// Owner is for whom a process runs.
type Owner struct {
	// Backoff delays the starts for this owner after its processes have ended by
	// themselves; nil: there is none, and they delay all.
	Backoff *Backoff
	// Principal is whose session it is; "" for an anonymous client, and for all
	// of several.
	Principal string
	// Check: no client uses the process, only a health check does.
	Check bool
}

// Start starts a process of a command cluster. Where max_processes of them run
// it waits, up to queue_timeout, and a process at rest is stopped for it. The
// error is ErrOverflow when that has not helped; a *ConnectError when it cannot be started, or may
// not be yet because the last one failed. ctx bounds the start only: the caller
// must Stop the process, or see it end.
func (e *Endpoint) Start(ctx context.Context) (*Process, error) { return e.StartFor(ctx, Owner{}) }

// StartFor is Start for one owner of several, such as a session. When the
// process ends by itself after it has served, owner alone is delayed; a process
// that ends before that delays the other owners too, unless another process of
// the command shows that starts succeed. Without a Backoff all are delayed.
func (e *Endpoint) StartFor(ctx context.Context, owner Owner) (*Process, error) {
	return e.start(ctx, owner, queue)
}

// StartIfFree is StartFor for a purpose that is worth no process of others, nor
// waiting: where max_processes run the error is ErrOverflow at once.
func (e *Endpoint) StartIfFree(ctx context.Context, owner Owner) (*Process, error) {
	return e.start(ctx, owner, dontQueue)
}

func (e *Endpoint) start(ctx context.Context, owner Owner, q queuing) (*Process, error) {
	l := e.command
	if l == nil {
		return nil, fmt.Errorf("cluster %s has no command", e.cluster)
	}
	fail := func(err error) (*Process, error) { return nil, &ConnectError{e.cluster, e.id, err} }
	if !e.acquire() {
		return fail(ErrRetired)
	}
	if err := l.await(ctx, owner.Backoff); err != nil { // without a slot, which others may use
		e.release()
		return fail(err)
	}
	s := &e.state.slots
	if err := s.claim(ctx, e, owner, q); err != nil {
		e.release()
		return nil, err
	}
	done := func(p *Process) {
		s.free(p)
		e.release()
	}
	p, err := l.launch(owner, s, done)
	if err != nil {
		err = fmt.Errorf("start %s: %w", l.argv[0], err)
		l.backoff.failed(err, 0, time.Now())
		l.tell("failed", err)
		done(nil)
		return fail(err)
	}
	return p, nil
}

// Await waits, as StartFor does, until owner may use a process of the command
// that runs already. owner may be nil.
func (e *Endpoint) Await(ctx context.Context, owner *Backoff) error {
	if owner == nil {
		return nil
	}
	if err := new(launcher).await(ctx, owner); err != nil { // the command's own backoff delays starts only
		return &ConnectError{e.cluster, e.id, err}
	}
	return nil
}

// await waits for the backoffs that delay a start for owner, or returns at once
// why there is none for some time.
func (l *launcher) await(ctx context.Context, owner *Backoff) error {
	wait, err := l.delay(owner, time.Now())
	if err != nil {
		return err
	}
	if !sleep(ctx, wait) {
		return context.Cause(ctx)
	}
	return nil
}

// delay is how long a start for owner has to wait. The error says why it is too
// long to be waited for.
func (l *launcher) delay(owner *Backoff, now time.Time) (time.Duration, error) {
	wait, last := l.backoff.wait(now)
	tooLong := wait > maxStartWait
	if owner != nil {
		if own, err := owner.wait(now); own > wait {
			wait, last, tooLong = own, err, tooLong || own > maxOwnWait
		}
	}
	if tooLong {
		return wait, fmt.Errorf("the command failed, and is started again in %v: %w", wait.Round(time.Second), last)
	}
	return wait, nil
}

func (l *launcher) tell(event string, err error) {
	if l.trace != nil && l.trace.Process != nil {
		l.trace.Process(l.cluster, event, err)
	}
}

// launch starts a process for owner; done is called once it has ended.
func (l *launcher) launch(owner Owner, s *slots, done func(*Process)) (*Process, error) {
	path, err := lookPath(l.argv[0], l.dir, l.environ)
	if err != nil {
		return nil, err
	}
	cmd := &exec.Cmd{Path: path, Args: l.argv, Dir: l.dir, Env: l.environ, SysProcAttr: processAttributes()}
	p := &Process{launcher: l, owner: owner.Backoff, slots: s, rest: rest{owner: owner}, cmd: cmd, done: make(chan struct{})}
	theirs, err := p.pipes()
	if err != nil {
		return nil, err
	}
	started := make(chan error)
	go p.live(started, theirs, done)
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// live is the life of a process: it starts it and waits for its end.
func (p *Process) live(started chan<- error, theirs []*os.File, done func(*Process)) {
	// The kernel kills a child when the thread that forked it ends
	// (Pdeathsig), so that thread does nothing else until the child has ended.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	for _, f := range theirs {
		f.Close()
	}
	if err != nil {
		p.closePipes()
		started <- err
		return
	}
	born := time.Now()
	go p.readStderr()
	p.launcher.tell("started", nil)
	started <- nil

	awaitExit(p.cmd.Process)
	p.sweep()
	err = p.cmd.Wait()
	if err == nil {
		err = errors.New("exit status 0")
	}
	p.err = fmt.Errorf("the process has ended: %w", err)
	switch served := p.over(); {
	case p.stopping.Load():
		p.err = ErrStopped
		if p.Taken() {
			p.err = ErrTaken
		}
	case !p.trial.Load():
		p.delay(served, time.Since(born), time.Now())
	}
	p.outlive()
	p.launcher.tell("exited", p.err)
	done(p) // first, so that a caller that waited for the end may start another
	close(p.done)
}
