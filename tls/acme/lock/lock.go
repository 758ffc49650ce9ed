package lock

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/disk"
)

// Lock is a lock that is held. One goroutine keeps it alive until Release.
type Lock struct {
	locks  *Locks
	ctx    context.Context
	cancel context.CancelCauseFunc
	key    string
	dir    string
	number uint64
	record record
	stop   chan struct{}
	done   chan struct{}
}

// Context ends with Release, with the context given to Acquire, or when another
// process has taken the lock over or the storage did not take the record for
// too long; the cause says which of these. What is done under the lock belongs
// under it.
func (k *Lock) Context() context.Context { return k.ctx }

// ErrLost is the cause of a Context whose lock another process has taken over.
var ErrLost = errors.New("another gateway has taken the lock over, since it was not kept alive in time")

// update writes the next record, if the lock is still held. It waits no longer
// than until the next beat.
func (k *Lock) update() error {
	k.record.Beat++
	next := k.record // the write may outlast the wait
	_, err := disk.DoWithin(context.Background(), k.locks.disk, k.locks.Beat, "write", k.dir, func() (struct{}, error) {
		return struct{}{}, k.replace(next)
	})
	return err
}

func (k *Lock) replace(next record) error {
	numbers, err := readNumbers(k.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if highest(numbers) > k.number {
		return ErrLost
	}
	f, err := os.OpenFile(numberPath(k.dir, k.number), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrLost
	}
	if err != nil {
		return err
	}
	defer f.Close()
	// The numbers begin anew when an operator clears the directory.
	data := make([]byte, recordSize)
	n, _ := f.ReadAt(data, 0)
	var found record
	if json.Unmarshal(data[:n], &found) != nil || found.Owner != next.Owner {
		return ErrLost
	}
	return next.write(f)
}

// keepAlive ends with release, or when the lock is lost.
func (k *Lock) keepAlive() {
	defer close(k.done)
	beat := time.NewTicker(k.locks.Beat)
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
		if missed++; missed == missedBeats-1 || errors.Is(err, ErrLost) {
			k.cancel(fmt.Errorf("lock %s: %w", k.key, err))
			return
		}
	}
}

// Release gives the lock back, and ends what was done under it.
func (k *Lock) Release() {
	close(k.stop)
	<-k.done
	k.cancel(context.Canceled)
	k.record.Released = true
	if err := k.update(); err != nil && !errors.Is(err, ErrLost) {
		k.locks.warn(fmt.Errorf("the lock %s could not be given back, and the others wait until they find it stale: %w", k.key, err))
	}
}
