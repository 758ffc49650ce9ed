package acme

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
)

const (
	// diskTimeout is how long an operation on the storage is waited for. On a
	// network file system whose server is gone, the system call itself never
	// returns, and cannot be interrupted.
	diskTimeout = 10 * time.Second
	// endTimeout is how long one that is under way is waited for when the
	// account ends.
	endTimeout = 2 * time.Second
	// concurrentOperations of one account. One that does not return holds a
	// thread of the process.
	concurrentOperations = 16
)

var errNoAnswer = errors.New("the file system does not answer")

// disk bounds what is waited for a file system: in time, and in the number of
// system calls that do not return. Operations on one path follow each other, so
// that a path that hangs holds one thread, and an operation that was given up
// never takes effect after a later one.
type disk struct {
	timeout time.Duration
	slots   chan struct{}
	// ending ends when nothing is waited for any more.
	ending context.Context

	mu   sync.Mutex
	busy map[string]chan struct{} // by path; closed when the operation has returned
}

func newDisk(ending context.Context, timeout time.Duration) *disk {
	return &disk{timeout: timeout, slots: make(chan struct{}, concurrentOperations), ending: ending, busy: map[string]chan struct{}{}}
}

// onDisk returns what f does. When the file system does not answer in time, it
// leaves f behind, and the error is an fs.PathError with errNoAnswer. ctx keeps f
// from beginning.
func onDisk[T any](ctx context.Context, d *disk, op, path string, f func() (T, error)) (T, error) {
	return onDiskWithin(ctx, d, d.timeout, op, path, f)
}

func onDiskWithin[T any](ctx context.Context, d *disk, timeout time.Duration, op, path string, f func() (T, error)) (T, error) {
	var none T
	t := time.NewTimer(timeout)
	defer t.Stop()
	noAnswer := func() error {
		return &fs.PathError{Op: op, Path: path, Err: fmt.Errorf("%w within %s", errNoAnswer, timeout)}
	}
	select {
	case d.slots <- struct{}{}:
	case <-ctx.Done():
		return none, ctx.Err()
	case <-t.C:
		return none, noAnswer()
	case <-d.ending.Done():
		return none, noAnswer()
	}
	done := make(chan struct{})
	for {
		before := d.begin(path, done)
		if before == nil {
			break
		}
		var err error
		select {
		case <-before:
			continue
		case <-ctx.Done():
			err = ctx.Err()
		case <-t.C:
			err = noAnswer()
		case <-d.ending.Done():
			err = noAnswer()
		}
		<-d.slots
		return none, err
	}
	var value T
	var err error
	go func() {
		defer func() { d.end(path, done); <-d.slots }()
		value, err = f()
	}()
	select {
	case <-done:
		return value, err
	case <-t.C:
	case <-d.ending.Done():
	}
	return none, noAnswer()
}

// begin takes a path. Where another operation has it, it returns what is closed
// when that one has returned.
func (d *disk) begin(path string, done chan struct{}) (before <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if before, taken := d.busy[path]; taken {
		return before
	}
	d.busy[path] = done
	return nil
}

func (d *disk) end(path string, done chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.busy, path)
	close(done)
}

// storage is certmagic's, on a disk that may not answer.
type storage struct {
	*certmagic.FileStorage
	disk *disk
}

// Load reads the file of a key.
func (s *storage) Load(ctx context.Context, key string) ([]byte, error) {
	return onDisk(ctx, s.disk, "read", s.Filename(key), func() ([]byte, error) { return s.FileStorage.Load(ctx, key) })
}

// Store replaces the file of a key.
func (s *storage) Store(ctx context.Context, key string, value []byte) error {
	return s.do(ctx, "write", key, func() error { return s.FileStorage.Store(ctx, key, value) })
}

// Delete removes the file of a key, if it is there.
func (s *storage) Delete(ctx context.Context, key string) error {
	return s.do(ctx, "remove", key, func() error { return s.FileStorage.Delete(ctx, key) })
}

// Exists reports whether a key has a file.
func (s *storage) Exists(ctx context.Context, key string) bool {
	_, err := s.Stat(ctx, key)
	return err == nil
}

// List returns the keys below a prefix.
func (s *storage) List(ctx context.Context, prefix string, recursive bool) ([]string, error) {
	return onDisk(ctx, s.disk, "list", s.Filename(prefix), func() ([]string, error) {
		return s.FileStorage.List(ctx, prefix, recursive)
	})
}

// Stat describes the file of a key.
func (s *storage) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	return onDisk(ctx, s.disk, "stat", s.Filename(key), func() (certmagic.KeyInfo, error) { return s.FileStorage.Stat(ctx, key) })
}

// do is onDisk for the file of a key, where there is nothing but an error.
func (s *storage) do(ctx context.Context, op, key string, f func() error) error {
	_, err := onDisk(ctx, s.disk, op, s.Filename(key), func() (struct{}, error) { return struct{}{}, f() })
	return err
}
