package acme

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/mcpgateway/mcpgateway/internal/disk"
)

const (
	lockBeat     = 5 * time.Second
	lockPatience = 2 * time.Minute
	looksPerBeat = 5
	// missedBeats of a holder, and the lock is another's to take.
	missedBeats = 4
	// recordSize is that of every lock file: a beat overwrites the file in its
	// place, which a full disk does not keep it from.
	recordSize = 512
)

// locks are held by one process at a time, of all that share a storage.
//
// The kernel's locks (flock, fcntl, and the libraries around them) do not reach
// other hosts on every shared filesystem, and cannot say who holds them; those
// of certmagic's FileStorage tell a dead holder by its clock, and keep a lock
// alive by its path, whichever process holds it by now. So these are files with numbers,
// in one directory a lock: the owner of the highest number holds it. To take
// the lock is to create the next number, once the highest has been given back
// or has not changed for missedBeats, as the one who waits counts them. Only
// O_EXCL is asked of the filesystem, and no clocks are compared. No process removes
// the highest number, not even to give the lock back: this is what makes a
// latecomer, who still believes an older one to be the highest, lose.
type locks struct {
	disk     *disk.Disk
	dir      string
	beat     time.Duration
	patience time.Duration // for a lock that another process holds
	warn     func(error)
}

func newLocks(d *disk.Disk, storage string, warn func(error)) *locks {
	return &locks{disk: d, dir: filepath.Join(storage, "locks"), beat: lockBeat, patience: lockPatience, warn: warn}
}

// lock is one that is held.
type lock struct {
	*locks
	// ctx ends when another has taken the lock over; its cause says so.
	ctx    context.Context
	cancel context.CancelCauseFunc
	key    string
	dir    string
	number uint64
	record lockRecord
	stop   chan struct{}
	done   chan struct{}
}

var errLockLost = errors.New("another gateway has taken the lock over, since it was not kept alive in time")

// acquire waits for a lock, which is of what. It gives up after the patience of
// the locks with a heldError.
func (l *locks) acquire(ctx context.Context, key, what string) (*lock, error) {
	dir := filepath.Join(l.dir, certmagic.StorageKeys.Safe(key)+".d")
	makeDir := func() (struct{}, error) { return struct{}{}, os.MkdirAll(dir, 0o700) }
	if _, err := disk.Do(ctx, l.disk, "mkdir", dir, makeDir); err != nil {
		return nil, err
	}
	impatient := time.NewTimer(l.patience)
	defer impatient.Stop()
	look := time.NewTicker(l.beat / looksPerBeat)
	defer look.Stop()
	// The looks at which the lock was as it had been at the one before are
	// counted: time also passes while this process is stopped.
	var last lockState
	unchanged, since := 0, time.Now()
	for {
		state, err := disk.Do(ctx, l.disk, "read", dir, func() (lockState, error) { return readLock(dir) })
		if err != nil {
			return nil, err
		}
		if unchanged++; !state.same(last) {
			last, unchanged = state, 0
		}
		stale := unchanged >= missedBeats*looksPerBeat
		if stale || state.free() {
			held, err := l.take(ctx, key, dir, state.number+1)
			if held != nil || err != nil {
				if held != nil && stale {
					l.warn(fmt.Errorf("took over the lock %s, which was not kept alive: %s", key, bytes.TrimSpace(state.record)))
				}
				return held, err
			}
		}
		select {
		case <-look.C:
		case <-impatient.C:
			return nil, state.heldError(what, since)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// take creates a number; nil is that another was faster.
func (l *locks) take(ctx context.Context, key, dir string, number uint64) (*lock, error) {
	k, err := disk.Do(ctx, l.disk, "create", dir, func() (*lock, error) { return l.create(key, dir, number) })
	if k == nil || err != nil {
		// A number that is created after all is taken over when it is stale.
		return nil, err
	}
	k.ctx, k.cancel = context.WithCancelCause(ctx)
	go k.keepAlive()
	return k, nil
}

func (l *locks) create(key, dir string, number uint64) (*lock, error) {
	f, err := os.OpenFile(lockPath(dir, number), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname() // for people
	k := &lock{
		locks: l, key: key, dir: dir, number: number,
		record: lockRecord{Created: time.Now(), Beat: 1, Owner: rand.Text(), Host: host[:min(len(host), 64)], Process: os.Getpid()},
		stop:   make(chan struct{}), done: make(chan struct{}),
	}
	err = errors.Join(k.record.write(f), f.Close())
	var numbers []uint64
	if err == nil {
		numbers, err = lockNumbers(dir)
	}
	highest := true
	for _, n := range numbers {
		highest = highest && n <= number
	}
	if err != nil || !highest {
		return nil, errors.Join(err, os.Remove(lockPath(dir, number)))
	}
	if number == 1 {
		numbers = append(numbers, 0)
	}
	for _, n := range numbers {
		if n != number {
			_ = os.Remove(lockPath(dir, n)) // the next holder tries again
		}
	}
	return k, nil
}

// write puts the record into a file.
func (r lockRecord) write(f *os.File) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	data = append(data, bytes.Repeat([]byte{' '}, max(recordSize-len(data), 1))...)
	data[len(data)-1] = '\n'
	if _, err := f.WriteAt(data, 0); err != nil {
		return err
	}
	return f.Sync() // some shared filesystems do not, when a file is closed
}

// update writes the next record, if the lock is still held. It waits no longer
// than until the next beat.
func (k *lock) update() error {
	k.record.Beat++
	record := k.record // the write may outlast the wait
	_, err := disk.DoWithin(context.Background(), k.disk, k.beat, "write", k.dir, func() (struct{}, error) {
		return struct{}{}, k.replace(record)
	})
	return err
}

func (k *lock) replace(record lockRecord) error {
	numbers, err := lockNumbers(k.dir)
	if err != nil && !missing(err) {
		return err
	}
	for _, n := range numbers {
		if n > k.number {
			return errLockLost
		}
	}
	f, err := os.OpenFile(lockPath(k.dir, k.number), os.O_RDWR, 0)
	if missing(err) {
		return errLockLost
	}
	if err != nil {
		return err
	}
	defer f.Close()
	// The numbers begin anew when an operator clears the directory.
	data := make([]byte, recordSize)
	n, _ := f.ReadAt(data, 0)
	var found lockRecord
	if json.Unmarshal(data[:n], &found) != nil || found.Owner != record.Owner {
		return errLockLost
	}
	return record.write(f)
}

// keepAlive ends with release, or when the lock is lost.
func (k *lock) keepAlive() {
	defer close(k.done)
	beat := time.NewTicker(k.beat)
	defer beat.Stop()
	for missed := 0; ; {
		select {
		case <-k.stop:
			return
		case <-beat.C:
		}
		err := k.update()
		if err == nil {
			missed = 0
			continue
		}
		// Sooner than the others count so many.
		if missed++; missed == missedBeats-1 || errors.Is(err, errLockLost) {
			k.cancel(fmt.Errorf("lock %s: %w", k.key, err))
			return
		}
	}
}

// release gives the lock back, and ends what was done under it.
func (k *lock) release() {
	close(k.stop)
	<-k.done
	k.cancel(context.Canceled)
	k.record.Released = true
	if err := k.update(); err != nil && !errors.Is(err, errLockLost) {
		k.warn(fmt.Errorf("the lock %s could not be given back, and the others wait until they find it stale: %w", k.key, err))
	}
}
