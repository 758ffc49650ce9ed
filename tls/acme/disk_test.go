package acme

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// hang puts a named pipe in the place of a stored file: to open it does not
// return until answer has written the file's content to it. answer reports
// whether a reader was there.
func hang(t *testing.T, path string) (answer func() bool) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)); err != nil {
		t.Fatal(err)
	}
	return func() bool {
		f, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			return false
		}
		defer f.Close()
		_, err = f.Write(data)
		return err == nil
	}
}

func TestAStorageThatHangsHoldsNoCommitAndNoClose(t *testing.T) {
	var status, asked atomic.Int32
	cfg, leaf := stored(t, &status, &asked)
	a := newAccount(cfg, zap.NewNop(), newPending(), func(Event) {})
	answer := hang(t, a.storage.Filename(certmagic.StorageKeys.SiteCert(a.issuerKey, name)))
	a.cancel()
	a.end()
	t.Cleanup(func() { // what was left behind, once the managers are closed
		for answer() {
		}
	})

	g := newGateway(t)
	g.timing.load = 10 * time.Millisecond
	g.Commit(cfg, []string{name}, both) // returns
	if _, err := g.Certificate(name); !errors.Is(err, errUnderWay) {
		t.Errorf("before the storage answers: %v", err)
	}
	for !answer() {
		time.Sleep(time.Millisecond)
	}
	g.await("loaded " + name)
	if !g.leaf(name).Equal(leaf) {
		t.Error("another certificate serves")
	}

	closed := newGateway(t)
	closed.timing.load = 10 * time.Millisecond
	closed.Commit(cfg, []string{name}, both)
	closed.Close() // returns
}

func TestAFileThatHangsHoldsOneThreadAndNoOtherFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk(t.Context(), diskTimeout)
		hung := make(chan struct{})
		var calls atomic.Int32
		read := func() (int, error) { n := calls.Add(1); <-hung; return int(n), nil }
		for range 2 * concurrentOperations {
			_, err := onDisk(t.Context(), d, "read", "hung", read)
			if _, ok := errors.AsType[*fs.PathError](err); !ok || !errors.Is(err, errNoAnswer) {
				t.Fatalf("got %v", err)
			}
		}
		if n := calls.Load(); n != 1 {
			t.Errorf("%d system calls hang", n)
		}
		if n, err := onDisk(t.Context(), d, "read", "other", func() (int, error) { return 7, nil }); n != 7 || err != nil {
			t.Errorf("another file: %d, %v", n, err)
		}
		close(hung)
		if n, err := onDisk(t.Context(), d, "read", "hung", read); n != 2 || err != nil {
			t.Errorf("once it answers: %d, %v", n, err)
		}
	})
}

func TestADiskWaitsForNothingWhenItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ending, end := context.WithCancel(t.Context())
		d := newDisk(ending, diskTimeout)
		hung := make(chan struct{})
		defer close(hung)
		time.AfterFunc(time.Second, end)
		began := time.Now()
		_, err := onDisk(t.Context(), d, "read", "hung", func() (int, error) { <-hung; return 0, nil })
		if took := time.Since(began); err == nil || took != time.Second {
			t.Errorf("%v after %s", err, took)
		}
	})
}
