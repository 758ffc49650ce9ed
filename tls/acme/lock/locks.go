package lock

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/mcpgateway/mcpgateway/internal/disk"
)

const (
	beat         = 5 * time.Second
	patience     = 2 * time.Minute
	looksPerBeat = 5
	// missedBeats of a holder, and the lock is another's to take.
	missedBeats = 4
)

// Locks are those of one storage. They may be used concurrently.
type Locks struct {
	// Beat is how often a holder shows that it lives; 5 seconds, unless it is
	// changed before the first Acquire. All processes that share a storage need
	// the same.
	Beat time.Duration

	disk     *disk.Disk
	dir      string
	patience time.Duration // for a lock that another process holds
	warn     func(error)
}

// New returns the locks of the storage in a directory, which need not exist. d
// bounds how long its file system is waited for. warn is told, from any
// goroutine, of a lock that was taken over from a dead holder, and of one that
// could not be given back.
func New(d *disk.Disk, storage string, warn func(error)) *Locks {
	return &Locks{Beat: beat, disk: d, dir: filepath.Join(storage, "locks"), patience: patience, warn: warn}
}

// Acquire waits for the lock of a key. After two minutes it gives up with a
// HeldError, which names the lock as that of what.
func (l *Locks) Acquire(ctx context.Context, key, what string) (*Lock, error) {
	dir := filepath.Join(l.dir, certmagic.StorageKeys.Safe(key)+".d")
	makeDir := func() (struct{}, error) { return struct{}{}, os.MkdirAll(dir, 0o700) }
	if _, err := disk.Do(ctx, l.disk, "mkdir", dir, makeDir); err != nil {
		return nil, err
	}
	impatient := time.NewTimer(l.patience)
	defer impatient.Stop()
	look := time.NewTicker(l.Beat / looksPerBeat)
	defer look.Stop()
	// The looks at which the lock was as it had been at the one before are
	// counted: time also passes while this process is stopped.
	var last state
	unchanged, since := 0, time.Now()
	for {
		seen, err := disk.Do(ctx, l.disk, "read", dir, func() (state, error) { return readState(dir) })
		if err != nil {
			return nil, err
		}
		if unchanged++; seen != last {
			last, unchanged = seen, 0
		}
		stale := unchanged >= missedBeats*looksPerBeat
		if stale || seen.free() {
			held, err := l.take(ctx, key, dir, seen.number+1)
			if held != nil || err != nil {
				if held != nil && stale {
					l.warn(fmt.Errorf("took over the lock %s, which was not kept alive: %s", key, strings.TrimSpace(seen.record)))
				}
				return held, err
			}
		}
		select {
		case <-look.C:
		case <-impatient.C:
			return nil, seen.heldBy(what, since)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// take creates a number; nil is that another was faster.
func (l *Locks) take(ctx context.Context, key, dir string, number uint64) (*Lock, error) {
	k, err := disk.Do(ctx, l.disk, "create", dir, func() (*Lock, error) { return l.create(key, dir, number) })
	if k == nil || err != nil {
		// A number that is created after all is taken over when it is stale.
		return nil, err
	}
	k.ctx, k.cancel = context.WithCancelCause(ctx)
	go k.keepAlive()
	return k, nil
}

func (l *Locks) create(key, dir string, number uint64) (*Lock, error) {
	f, err := os.OpenFile(numberPath(dir, number), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname() // for people
	k := &Lock{
		locks: l, key: key, dir: dir, number: number,
		record: record{Created: time.Now(), Beat: 1, Owner: rand.Text(), Host: host[:min(len(host), 64)], Process: os.Getpid()},
		stop:   make(chan struct{}), done: make(chan struct{}),
	}
	err = errors.Join(k.record.write(f), f.Close())
	var numbers []uint64
	if err == nil {
		numbers, err = readNumbers(dir)
	}
	if err != nil || highest(numbers) > number {
		return nil, errors.Join(err, os.Remove(numberPath(dir, number)))
	}
	if number == 1 {
		numbers = append(numbers, 0)
	}
	for _, n := range numbers {
		if n != number {
			_ = os.Remove(numberPath(dir, n)) // the next holder tries again
		}
	}
	return k, nil
}
