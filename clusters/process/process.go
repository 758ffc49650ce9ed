package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// stopGrace is the time between the end of stdin and SIGTERM.
	stopGrace = 2 * time.Second
	// termGrace is the time between SIGTERM and SIGKILL.
	termGrace = 3 * time.Second
	// pipeGrace is how long output can be read after the process has ended,
	// should a process outside its group hold the other end open.
	pipeGrace = 2 * time.Second
)

// ErrStopped is the Err of a process that ended because of Stop.
var ErrStopped = errors.New("the process was stopped")

// ErrTaken is the Err of a process that ended because another one needed its
// place while it was at rest.
var ErrTaken = fmt.Errorf("%w: its session was idle, max_processes were running, and another session needed one", ErrStopped)

// Process is a running child process.
type Process struct {
	// Stdin is the child's standard input.
	Stdin io.WriteCloser
	// Stdout is the child's standard output. It ends when the process has.
	Stdout io.Reader

	command  *Command
	cmd      *exec.Cmd
	stdin    *os.File
	stdout   *os.File
	stderr   *os.File
	rest     rest
	release  func() // called at the end
	stopping atomic.Bool
	trial    atomic.Bool
	done     chan struct{}
	err      error // set before done is closed

	mu     sync.Mutex
	owner  *Backoff // nil: its starter has none
	reaped bool     // the kernel may have given the process id to another
	served bool     // Serving was called
	ended  bool
}

// live is the life of a process: it starts it and waits for its end.
func (p *Process) live(started chan<- error, theirs []*os.File) {
	// The kernel kills a child when the thread that forked it ends
	// (Pdeathsig), so that thread does nothing else until the child has ended.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	for _, f := range theirs {
		f.Close()
	}
	if err != nil {
		p.stdin.Close()
		p.stdout.Close()
		p.stderr.Close()
		started <- err
		return
	}
	born := time.Now()
	go p.readStderr()
	p.command.tell(Started, nil)
	started <- nil

	awaitExit(p.cmd.Process)
	p.sweep()
	err = p.cmd.Wait()
	if err == nil {
		err = errors.New("exit status 0")
	}
	p.err = fmt.Errorf("the process has ended: %w", err)
	switch served := p.noteEnd(); {
	case p.stopping.Load():
		p.err = ErrStopped
		if p.Taken() {
			p.err = ErrTaken
		}
	case !p.trial.Load():
		p.delay(served, time.Since(born), time.Now())
	}
	p.outlive()
	p.command.tell(Exited, p.err)
	// First, so that a caller that waited for the end may start another.
	p.command.slots.free(p)
	p.release()
	close(p.done)
}

// Serving says that the process has begun to serve: its start has succeeded.
func (p *Process) Serving() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.served || p.ended {
		return
	}
	p.served = true
	p.command.serving.Add(1)
	if p.owner != nil {
		p.command.backoff.succeeded()
	}
}

// SetOwner makes the process another owner's: from now on its end delays the
// starts of that one.
func (p *Process) SetOwner(owner Owner) {
	s := p.command.slots
	s.mu.Lock()
	p.rest.owner = owner
	s.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.owner = owner.Backoff
}

// noteEnd notes that the process has ended, and reports whether it had served.
func (p *Process) noteEnd() (served bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	if p.served {
		p.command.serving.Add(-1)
	}
	return p.served
}

// delay delays the starts that the end of the process, by itself, says are not
// worth while now. A process that crashes in the hands of its owner, or that
// only its owner's first message keeps from starting, says nothing about those
// of the others.
func (p *Process) delay(served bool, lived time.Duration, now time.Time) {
	p.mu.Lock()
	owner := p.owner
	p.mu.Unlock()
	if owner != nil {
		owner.failed(p.err, lived, now)
		if served || p.command.serving.Load() > 0 {
			return
		}
	}
	p.command.backoff.failed(p.err, lived, now)
}

// SetTrial says whether the process is asked something that may make it exit,
// such as a method that older servers do not know. The end of a process on
// trial does not delay the start of the next one.
func (p *Process) SetTrial(on bool) { p.trial.Store(on) }

// Done is closed when the process has ended and its group is gone.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says why the process has ended: ErrStopped, or ErrTaken, after Stop. It is nil before.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// Stop ends the process and returns when it has ended: its stdin is closed;
// after a moment its group gets SIGTERM, after another SIGKILL. When ctx ends,
// SIGKILL comes at once. It may be called more than once.
func (p *Process) Stop(ctx context.Context) {
	p.stopping.Store(true)
	p.stdin.Close()
	if p.ends(ctx, stopGrace) {
		return
	}
	if ctx.Err() == nil {
		p.signal(syscall.SIGTERM)
		if p.ends(ctx, termGrace) {
			return
		}
	}
	p.signal(syscall.SIGKILL)
	<-p.done
}

// ends waits for the end of the process, no longer than d or ctx.
func (p *Process) ends(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-p.done:
		return true
	case <-t.C:
	case <-ctx.Done():
	}
	return false
}

// signal signals the process group.
func (p *Process) signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = syscall.Kill(-p.cmd.Process.Pid, sig)
	}
}

// sweep kills what is left of the process group. Its leader has ended, but was
// not reaped, so the group's id cannot have passed on to others.
func (p *Process) sweep() {
	p.signal(syscall.SIGKILL)
	p.mu.Lock()
	p.reaped = true
	p.mu.Unlock()
}

// pipes makes the three pipes and returns the child's ends.
func (p *Process) pipes() (theirs []*os.File, err error) {
	var open []*os.File
	pipe := func() (r, w *os.File) {
		if err == nil {
			if r, w, err = os.Pipe(); err == nil {
				open = append(open, r, w)
			}
		}
		return r, w
	}
	var in, out, errs *os.File
	in, p.stdin = pipe()
	p.stdout, out = pipe()
	p.stderr, errs = pipe()
	if err != nil {
		for _, f := range open {
			f.Close()
		}
		return nil, err
	}
	p.Stdin, p.Stdout = p.stdin, endingReader{p.stdout}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = in, out, errs
	return []*os.File{in, out, errs}, nil
}

// outlive bounds the life of the pipes once the process has ended.
func (p *Process) outlive() {
	p.stdin.Close()
	_ = p.stdout.SetReadDeadline(time.Now().Add(pipeGrace))
	_ = p.stderr.SetReadDeadline(time.Now().Add(pipeGrace))
	// The caller need not read stdout to its end.
	time.AfterFunc(pipeGrace, func() { p.stdout.Close() })
}

// endingReader ends, and gives back its descriptor, however the pipe ends.
type endingReader struct{ f *os.File }

func (r endingReader) Read(b []byte) (int, error) {
	n, err := r.f.Read(b)
	if err != nil {
		r.f.Close()
		err = io.EOF
	}
	return n, err
}
