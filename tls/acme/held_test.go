package acme

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/mcpgateway/mcpgateway/internal/disk"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls/acme/acmetest"
	"github.com/mcpgateway/mcpgateway/tls/acme/lock"
)

// hold takes the lock of a name as another gateway does.
func hold(t *testing.T, cfg *Config, name string) *lock.Lock {
	t.Helper()
	locks := lock.New(disk.New(context.Background(), disk.Timeout), cfg.storagePath(), func(error) {})
	held, err := locks.Acquire(t.Context(), accountOf(t, cfg).lockKey(name), name)
	if err != nil {
		t.Fatal(err)
	}
	return held
}

func TestANameThatAnotherGatewayHoldsIsShownAndTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// No authority can be reached there.
		cfg := &Config{Directory: "https://127.0.0.1:1/dir", Storage: config.Path(t.TempDir())}
		held := hold(t, cfg, name)
		g := newGateway(t)
		g.timing = defaultTiming
		g.Commit(cfg, []string{name}, both)
		for range 3 {
			if e := <-g.events; e != "failed "+name {
				t.Fatalf("event %q", e)
			}
			if err := g.lastError(name); err == nil || !strings.Contains(err.Error(), "has held the lock of "+name+" since ") {
				t.Errorf("error %v", err)
			}
			// It is no failure of the authority, to be waited out.
			if wait := time.Until(g.Status()[0].NextTry); wait > 3*time.Second {
				t.Errorf("the next attempt comes in %v", wait)
			}
		}
		held.Release()
		<-g.events
		if err := g.lastError(name); err == nil || strings.Contains(err.Error(), "lock") {
			t.Errorf("after the lock was given back the error is %v", err)
		}
		g.Close()
	})
}

func TestNamesThatAreLockedKeepNoOthersWaiting(t *testing.T) {
	t.Parallel()
	_, g, cfg := withAuthority(t, acmetest.Options{})
	var names []string
	for i := range concurrentOrders {
		names = append(names, fmt.Sprintf("held%d.example.com", i))
		defer hold(t, cfg, names[i]).Release()
	}
	g.Commit(cfg, names, both)
	// All of them wait for their lock by the time that another is wanted.
	testkit.Eventually(t, "the attempts do not begin", func() bool {
		for _, s := range g.Status() {
			if !s.NextTry.IsZero() {
				return false
			}
		}
		return true
	})
	g.Commit(cfg, append(names, name), both)
	g.await("obtained " + name)
	g.Close()
}

func TestALockThatIsLostEndsTheOrder(t *testing.T) {
	t.Parallel()
	p, g := acmetest.Start(t, acmetest.Options{}), newGateway(t)
	cfg := configFor(t, p, t.TempDir())
	a := accountFor(t, g, cfg)
	a.locks.Beat = 50 * time.Millisecond
	ended := make(chan struct{})
	var once sync.Once
	g.answering = func() {
		once.Do(func() {
			// Another takes the lock over, as if we had been stopped.
			numbers, err := filepath.Glob(filepath.Join(cfg.storagePath(), "locks", certmagic.StorageKeys.Safe(a.lockKey(name))+".d", "*"))
			if err != nil || len(numbers) != 1 {
				t.Errorf("the lock has the files %q, %v", numbers, err)
				return
			}
			if err := os.WriteFile(filepath.Join(filepath.Dir(numbers[0]), "1000"), nil, 0o600); err != nil {
				t.Error(err)
			}
		})
		<-ended
	}
	g.listen(p)
	begun := time.Now()
	err := loadedRenewer(g.Manager, a, name).renew()
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("the order went on, for %v", took)
	}
	close(ended)
	if !errors.Is(err, lock.ErrLost) {
		t.Errorf("the order ended with %v", err)
	}
}
