package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"
)

const (
	// Timeout is how long an operation is waited for by default. On a network file
	// system whose server is gone, the system call itself never returns, and cannot
	// be interrupted.
	Timeout = 10 * time.Second
	// concurrent bounds the operations on one Disk. One that does not return holds a
	// thread of the process.
	concurrent = 16
)

// ErrNoAnswer is why an operation was given up.
var ErrNoAnswer = errors.New("the file system does not answer")

// Disk bounds the wait for a file system in time, and in the number of system calls
// that do not return. Operations on one path follow each other, so that a path that
// hangs holds one thread, and an operation that was given up never takes effect
// after a later one. It may be used concurrently.
type Disk struct {
	timeout time.Duration
	free    chan struct{} // has a value for each operation that may begin
	// ending ends when the Disk waits for no operation any more.
	ending context.Context

	mu   sync.Mutex
	busy map[string]chan struct{} // by path; closed when the operation has returned
}

// New returns a Disk. Operations are waited for until timeout, and none once ending has
// ended.
func New(ending context.Context, timeout time.Duration) *Disk {
	d := &Disk{timeout: timeout, free: make(chan struct{}, concurrent), ending: ending, busy: map[string]chan struct{}{}}
	for range concurrent {
		d.free <- struct{}{}
	}
	return d
}

// Do returns what f does. When the file system does not answer in time, it
// leaves f behind, and the error is an fs.PathError with ErrNoAnswer. ctx keeps f
// from beginning.
func Do[T any](ctx context.Context, d *Disk, op, path string, f func() (T, error)) (T, error) {
	return DoWithin(ctx, d, d.timeout, op, path, f)
}

// DoWithin is Do with a timeout of its own.
func DoWithin[T any](ctx context.Context, d *Disk, timeout time.Duration, op, path string, f func() (T, error)) (T, error) {
	var none T
	if ctx.Err() != nil { // select takes any case that is ready
		return none, ctx.Err()
	}
	t := time.NewTimer(timeout)
	defer t.Stop()
	await := func(ctx context.Context, c <-chan struct{}) error {
		select {
		case <-c:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		case <-d.ending.Done():
		}
		return &fs.PathError{Op: op, Path: path, Err: fmt.Errorf("%w within %s", ErrNoAnswer, timeout)}
	}
	if err := await(ctx, d.free); err != nil {
		return none, err
	}
	done := make(chan struct{})
	for before := d.begin(path, done); before != nil; before = d.begin(path, done) {
		if err := await(ctx, before); err != nil {
			d.free <- struct{}{}
			return none, err
		}
	}
	var value T
	var err error
	go func() {
		defer func() { d.end(path, done); d.free <- struct{}{} }()
		value, err = f()
	}()
	if err := await(context.Background(), done); err != nil {
		return none, err
	}
	return value, err
}

// begin takes a path for an operation. Where another operation has it, begin returns
// a channel that is closed when that one has returned.
func (d *Disk) begin(path string, done chan struct{}) (before <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if before, taken := d.busy[path]; taken {
		return before
	}
	d.busy[path] = done
	return nil
}

func (d *Disk) end(path string, done chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.busy, path)
	close(done)
}
