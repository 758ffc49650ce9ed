package acme

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/mcpgateway/mcpgateway/internal/disk"
	"github.com/mcpgateway/mcpgateway/proxy/config"
	"github.com/mcpgateway/mcpgateway/tls/acme/acmetest"
)

// hold takes the lock of a name as another gateway does.
func hold(t *testing.T, cfg *Config, name string) *lock {
	t.Helper()
	a := newAccount(cfg, zap.NewNop(), newPending(), func(Event) {})
	defer func() { a.cancel(); a.end() }()
	a.locks.disk = disk.New(context.Background(), disk.Timeout) // it outlives the account
	held, err := a.locks.acquire(t.Context(), "keep_"+a.issuerKey+"_"+name, name)
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
		held.release()
		<-g.events
		if err := g.lastError(name); err == nil || strings.Contains(err.Error(), "lock") {
			t.Errorf("after the lock was given back the error is %v", err)
		}
		g.Close()
	})
}

func TestNamesThatAreLockedKeepNoOthersWaiting(t *testing.T) {
	t.Parallel()
	p, g := acmetest.Start(t, acmetest.Options{}), newGateway(t)
	g.listen(p)
	cfg := configFor(t, p, t.TempDir())
	var names []string
	for i := range concurrentOrders {
		names = append(names, fmt.Sprintf("held%d.example.com", i))
		defer hold(t, cfg, names[i]).release()
	}
	g.Commit(cfg, names, both)
	// All of them wait for their lock by the time that another is wanted.
	eventually(t, "the attempts do not begin", func() bool {
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
	a := newAccount(cfg, newZap(g.Manager.log), g.pending, g.event)
	defer func() { a.cancel(); a.end() }()
	a.setChallenges(both)
	a.locks.beat = 50 * time.Millisecond
	ended := make(chan struct{})
	var once sync.Once
	g.answering = func() {
		once.Do(func() {
			// Another takes the lock over, as if we had been stopped.
			dir := filepath.Join(a.locks.dir, "keep_"+certmagic.StorageKeys.Safe(a.issuerKey)+"_"+name+".d")
			state, err := readLock(dir)
			if err != nil {
				t.Error(err)
				return
			}
			if other, err := a.locks.take(t.Context(), "other", dir, state.number+1); other == nil {
				t.Errorf("the lock %+v is not taken over: %v", state, err)
			} else {
				other.die()
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
	if !errors.Is(err, errLockLost) {
		t.Errorf("the order ended with %v", err)
	}
}
