package config

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// diskTimeout is how long a file is waited for. On a network file system whose
	// server is gone, the system call itself never returns, and cannot be
	// interrupted.
	diskTimeout = 10 * time.Second
	// maxHanging bounds the system calls that do not return. Each holds a thread
	// of the process.
	maxHanging = 16
)

// errNoAnswer: a file could not be read in time.
var errNoAnswer = errors.New("the file system does not answer")

// Disk bounds what is waited for file systems: in time, and in the number of
// system calls that do not return. The zero value is usable; those who load
// again and again share one, so that a path that hangs holds one thread.
type Disk struct {
	// Timeout is how long a file is waited for; 0 is 10s.
	Timeout time.Duration
	// Open opens a file for reading; nil does so without waiting for the writer
	// of a named pipe.
	Open func(path string) (*os.File, error)

	mu   sync.Mutex
	busy map[string]chan struct{} // by path; closed when the system calls have returned
}

func (d *Disk) timeout() time.Duration {
	if d.Timeout > 0 {
		return d.Timeout
	}
	return diskTimeout
}

func (d *Disk) open(path string) (*os.File, error) {
	if d.Open != nil {
		return d.Open(path)
	}
	// Without O_NONBLOCK, opening a FIFO waits for a writer, maybe for ever.
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// read is readFile, no longer than the file system may take and ctx lasts. What
// does not return by then is left behind.
func (d *Disk) read(ctx context.Context, path string, limit int64) ([]byte, error) {
	patience := time.NewTimer(d.timeout())
	defer patience.Stop()
	done := make(chan struct{})
	for {
		before, ok := d.begin(path, done)
		if ok {
			break
		}
		select {
		case <-before:
		case <-patience.C:
			return nil, d.noAnswer()
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	var data []byte
	var err error
	go func() {
		defer d.end(path, done)
		data, err = readFile(d.open, path, limit)
	}()
	select {
	case <-done:
		return data, err
	case <-patience.C:
		return nil, d.noAnswer()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (d *Disk) noAnswer() error { return fmt.Errorf("%w within %s", errNoAnswer, d.timeout()) }

// begin takes a path. Where that is taken, or too many are, it returns what is
// closed when one is given back.
func (d *Disk) begin(path string, done chan struct{}) (before <-chan struct{}, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if before, taken := d.busy[path]; taken {
		return before, false
	}
	if len(d.busy) >= maxHanging {
		for _, before := range d.busy {
			return before, false // any of them
		}
	}
	if d.busy == nil {
		d.busy = map[string]chan struct{}{}
	}
	d.busy[path] = done
	return nil, true
}

func (d *Disk) end(path string, done chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.busy, path)
	close(done)
}
