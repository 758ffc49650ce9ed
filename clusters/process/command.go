package process

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sync/atomic"
	"time"
)

// How long Start waits for the backoff of the command, and for that of the
// owner, to pass; a longer one is an error at once. The first delays every
// session of the command. The second delays one client, for which a few seconds
// are better than a lost call while its server is restarted.
const (
	maxStartWait = time.Second
	maxOwnWait   = 4 * time.Second
)

// ErrOverflow says that max_processes of a command run.
var ErrOverflow = errors.New("upstream overflow")

// Settings are those of a command that never change.
type Settings struct {
	Cluster string   // whose command it is, for errors and the trace
	Argv    []string // the program and its arguments
	Dir     string   // the working directory; "": the gateway's
	Environ []string // see Environ
	Trace   Trace
}

// Command starts the processes of a command. It may run none until SetLimits was
// called.
type Command struct {
	Settings
	slots *slots
	// backoff delays every start, because starts fail.
	backoff Backoff
	// serving is how many processes live of those that Serving was told of.
	serving atomic.Int64
	// most bounds the slots that are in use, and patience, in nanoseconds, the
	// time to wait for one.
	most, patience atomic.Int64
}

// NewCommand returns a command that has no processes yet.
func NewCommand(s Settings) *Command { return &Command{Settings: s, slots: new(slots)} }

// Succeed has the command share its places with old, which it replaces: the
// processes of old count until they have ended. It is called before all else.
func (c *Command) Succeed(old *Command) { c.slots = old.slots }

// SetLimits bounds the processes that run, and how long a start waits for one of
// them to end; 0: it does not wait.
func (c *Command) SetLimits(most int, patience time.Duration) {
	c.most.Store(int64(most))
	c.patience.Store(int64(patience))
	c.slots.grant() // there may be more of them now
}

// Count is the number of processes that run, of those that may, and of the
// starts that wait.
func (c *Command) Count() (running, most, waiting int) {
	running, waiting = c.slots.counts()
	return running, int(c.most.Load()), waiting
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
	// IfFree: the start is worth no process of others, nor waiting. Where
	// max_processes run it fails with ErrOverflow at once.
	IfFree bool
}

// Start starts a process for one owner of several, such as a session. The error
// wraps ErrOverflow when max_processes run and waiting has not helped.
//
// When the process ends by itself after it has served, owner alone is delayed; a
// process that ends before that delays the other owners too, unless another
// process of the command shows that starts succeed. Without a Backoff all are
// delayed.
//
// ctx bounds the start only: the caller must Stop the process, or see it end.
// release is called once it has ended and given back its place; it is not called
// when Start fails.
func (c *Command) Start(ctx context.Context, owner Owner, release func()) (*Process, error) {
	if err := c.await(ctx, owner.Backoff); err != nil { // without a slot, which others may use
		return nil, err
	}
	if err := c.slots.claim(ctx, c, owner); err != nil {
		return nil, err
	}
	p, err := c.launch(owner, release)
	if err != nil {
		err = fmt.Errorf("start %s: %w", c.Argv[0], err)
		c.backoff.failed(err, 0, time.Now())
		c.tell(Failed, err)
		c.slots.free(nil)
		return nil, err
	}
	return p, nil
}

// await waits for the backoffs that delay a start for owner, or returns at once
// why there is none for some time.
func (c *Command) await(ctx context.Context, owner *Backoff) error {
	wait, err := c.delay(owner, time.Now())
	if err != nil {
		return err
	}
	return sleep(ctx, wait)
}

// delay is how long a start for owner has to wait. The error says why it is too
// long to be waited for.
func (c *Command) delay(owner *Backoff, now time.Time) (time.Duration, error) {
	wait, last := c.backoff.wait(now)
	tooLong := wait > maxStartWait
	if own, err := owner.wait(now); own > wait {
		wait, last, tooLong = own, err, tooLong || own > maxOwnWait
	}
	if tooLong {
		return wait, refusal(wait, last)
	}
	return wait, nil
}

func (c *Command) tell(event Event, err error) {
	if c.Trace.Event != nil {
		c.Trace.Event(c.Cluster, event, err)
	}
}

// launch starts a process for owner, which has its place already.
func (c *Command) launch(owner Owner, release func()) (*Process, error) {
	path, err := LookPath(c.Argv[0], c.Dir, c.Environ)
	if err != nil {
		return nil, err
	}
	cmd := &exec.Cmd{Path: path, Args: c.Argv, Dir: c.Dir, Env: c.Environ, SysProcAttr: processAttributes()}
	p := &Process{command: c, owner: owner.Backoff, rest: rest{owner: owner}, cmd: cmd, release: release, done: make(chan struct{})}
	theirs, err := p.pipes()
	if err != nil {
		return nil, err
	}
	started := make(chan error)
	go p.live(started, theirs)
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}
