package acme

import (
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/mcpgateway/mcpgateway/internal/disk"
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

// certmagic asks whether a key exists in the course of an order.
func TestALookForAKeyInAStorageThatHangsReturns(t *testing.T) {
	s := &storage{&certmagic.FileStorage{Path: t.TempDir()}, disk.New(t.Context(), 10*time.Millisecond)}
	if err := s.Store(t.Context(), "key", nil); err != nil || !s.Exists(t.Context(), "key") {
		t.Fatalf("a key that was stored does not exist: %v", err)
	}
	hung := make(chan struct{})
	defer close(hung)
	_, err := disk.Do(t.Context(), s.disk, "read", s.Filename("key"), func() (struct{}, error) { <-hung; return struct{}{}, nil })
	if !errors.Is(err, disk.ErrNoAnswer) || s.Exists(t.Context(), "key") {
		t.Errorf("the look went past the disk, which hangs: %v", err)
	}
}

func TestAStorageThatHangsHoldsNoCommitAndNoClose(t *testing.T) {
	var status, asked atomic.Int32
	cfg, leaf := stored(t, &status, &asked)
	a := accountOf(t, cfg)
	answer := hang(t, a.storage.Filename(certmagic.StorageKeys.SiteCert(a.issuerKey, name)))
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
