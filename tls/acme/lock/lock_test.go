package lock

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/mcpgateway/mcpgateway/internal/disk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const name = "gateway.example.com"

// locksOf are the locks of a storage, as another process has them.
func locksOf(dir string) *Locks {
	return New(disk.New(context.Background(), disk.Timeout), dir, func(error) {})
}

// mustAcquire fails the test unless the lock comes within limit, of the
// bubble's time.
func mustAcquire(t *testing.T, l *Locks, limit time.Duration) *Lock {
	t.Helper()
	at := time.Now()
	k, err := l.Acquire(t.Context(), "key", name)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(at); took > limit {
		t.Errorf("the lock came after %v", took)
	}
	return k
}

// die ends a holder as a kill does: nothing is given back.
func (k *Lock) die() {
	close(k.stop)
	<-k.done
	k.cancel(context.Canceled)
}

func TestALockIsHeldByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		var holders, held atomic.Int32
		var work sync.WaitGroup
		for i := range 6 {
			l := locksOf(dir)
			l.patience = time.Hour
			work.Go(func() {
				for range 4 {
					k, err := l.Acquire(t.Context(), "key", name)
					if err != nil {
						t.Error(err)
						return
					}
					if n := holders.Add(1); n != 1 {
						t.Errorf("%d hold the lock", n)
					}
					held.Add(1)
					time.Sleep(time.Duration(i) * beat)
					if k.ctx.Err() != nil {
						t.Errorf("a lock that was kept alive is lost: %v", context.Cause(k.ctx))
					}
					holders.Add(-1)
					if i == 3 {
						k.die()
						continue
					}
					k.Release()
				}
			})
		}
		work.Wait()
		if n := held.Load(); n != 24 {
			t.Errorf("the lock was held %d times", n)
		}
	})
}

func TestALockThatNobodyKeepsAliveIsTakenOver(t *testing.T) {
	stamp := func(at time.Duration) []byte {
		data, err := json.Marshal(map[string]time.Time{"created": time.Now().Add(at), "updated": time.Now().Add(at)})
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for what, content := range map[string][]byte{
		"of an earlier version":  stamp(-time.Hour),
		"empty":                  {},
		"zeros of a power cut":   make([]byte, 90),
		"from the future":        stamp(100 * 365 * 24 * time.Hour),
		"with another's writing": []byte("hands off"),
	} {
		for _, file := range []string{"key.lock", "key.d/7"} {
			t.Run(what+" in "+file, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := locksOf(t.TempDir())
					path := filepath.Join(l.dir, filepath.FromSlash(file))
					if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, content, 0o600)); err != nil {
						t.Fatal(err)
					}
					at := time.Now()
					k := mustAcquire(t, l, (missedBeats+1)*beat)
					if took := time.Since(at); took < (missedBeats-1)*beat {
						t.Errorf("it was taken after %v, though its holder may live", took)
					}
					k.Release()
					if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
						t.Errorf("the old file is left: %v", err)
					}
					mustAcquire(t, l, 0).Release()
				})
			})
		}
	}
	t.Run("of a gateway that was killed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			dir := t.TempDir()
			// One that held the lock shortly before does not keep it alive for it.
			mustAcquire(t, locksOf(dir), 0).Release()
			mustAcquire(t, locksOf(dir), 0).die()
			mustAcquire(t, locksOf(dir), (missedBeats+1)*beat).Release()
		})
	})
}

func TestWhoeverWaitsForALockIsToldWhoHoldsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		since := time.Now().UTC().Format(time.RFC3339)
		k := mustAcquire(t, locksOf(dir), 0)
		time.Sleep(time.Minute)
		at := time.Now()
		_, err := locksOf(dir).Acquire(t.Context(), "key", name)
		host, _ := os.Hostname()
		want := "another gateway (" + host + ", process " + strconv.Itoa(os.Getpid()) + ") has held the lock of " + name + " since " + since
		if err == nil || err.Error() != want {
			t.Errorf("error %v, not %s", err, want)
		}
		if took := time.Since(at); took != patience {
			t.Errorf("it was waited for %v", took)
		}
		k.Release()
	})
}

func TestAHolderThatFellSilentLearnsThatItLostTheLock(t *testing.T) {
	for _, left := range []bool{false, true} { // its file is left behind, as one that could not be removed
		synctest.Test(t, func(t *testing.T) {
			dir := t.TempDir()
			silent := locksOf(dir)
			silent.Beat = time.Minute // a process that is stopped now and then
			lost := mustAcquire(t, silent, 0)
			path := numberPath(lost.dir, lost.number)
			record, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			next := mustAcquire(t, locksOf(dir), (missedBeats+1)*beat)
			if left {
				if err := os.WriteFile(path, record, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			mustLose(t, lost)
			if err := context.Cause(lost.ctx); !errors.Is(err, ErrLost) {
				t.Errorf("it ended with %v", err)
			}
			lost.Release()
			mustStayHeld(t, next)
			if s, err := readState(next.dir); err != nil || s.free() {
				t.Errorf("the release of a lock that was lost gives the next holder's back: %+v, %v", s, err)
			}
			next.Release()
		})
	}
}

func TestALatecomerDoesNotGetALockThatWentOnWithoutIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := locksOf(t.TempDir())
		mustAcquire(t, l, 0).Release()
		mustAcquire(t, l, 0).Release()
		k := mustAcquire(t, l, 0) // the third; the files of the others are gone
		// It read the lock when the first was given back, and acts now.
		late, err := l.take(t.Context(), "key", k.dir, 2)
		if late != nil || err != nil {
			t.Errorf("the latecomer got %v, %v", late, err)
		}
		if numbers, err := readNumbers(k.dir); err != nil || len(numbers) != 1 || numbers[0] != k.number {
			t.Errorf("files %v, %v; the lock is %d", numbers, err, k.number)
		}
		k.Release()
	})
}

func TestALockIsLostWithItsDirectory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		k := mustAcquire(t, locksOf(dir), 0)
		if err := os.RemoveAll(k.dir); err != nil {
			t.Fatal(err)
		}
		// The numbers begin anew, and meet.
		next := mustAcquire(t, locksOf(dir), 0)
		if next.number != k.number {
			t.Fatalf("number %d follows %d", next.number, k.number)
		}
		mustLose(t, k)
		k.Release()
		mustStayHeld(t, next)
		next.Release()
	})
}

func mustLose(t *testing.T, k *Lock) {
	t.Helper()
	select {
	case <-k.ctx.Done():
	case <-time.After(time.Hour):
		t.Error("the lock is not lost")
	}
}

func mustStayHeld(t *testing.T, k *Lock) {
	t.Helper()
	time.Sleep(2 * missedBeats * beat)
	if k.ctx.Err() != nil {
		t.Errorf("the lock is lost: %v", context.Cause(k.ctx))
	}
}
