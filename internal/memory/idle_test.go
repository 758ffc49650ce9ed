package memory

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// A process whose clients have left returns what it kept for them, though nothing
// makes the runtime collect garbage.
func TestAnIdleProcessReturnsMemory(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	debug.FreeOSMemory()
	b := limited(1 << 40)
	b.idleEvery = 10 * time.Millisecond
	b.Watch()
	defer b.Close()
	returned := func() {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); b.kept().committed > 64*mib; time.Sleep(b.idleEvery) {
			if time.Now().After(deadline) {
				t.Fatalf("%d MiB are kept", b.kept().committed/mib)
			}
		}
	}
	// In pieces: whatever is in use while the watch frees memory is not garbage then,
	// and nothing tells later that it is.
	for range 100 {
		runtime.KeepAlive(make([]byte, mib))
	}
	returned()

	if err := b.Charge(Session, 100*mib); err != nil { // before it is used, as always
		t.Fatal(err)
	}
	used := make([]byte, 100*mib)
	// The process has grown, and tries to return memory that is in use. Only what is
	// charged tells later that it is not any more. Were this too short on a slow
	// machine, the growth would tell.
	time.Sleep(10 * b.idleEvery)
	runtime.KeepAlive(used)
	b.Return(Session, 100*mib)
	returned()
}

func TestOnlyMuchGarbageIsWorthACollection(t *testing.T) {
	before := keeping{committed: 100 * mib, charged: 50 * mib}
	for now, want := range map[keeping]bool{
		before: false,
		{committed: 149 * mib, charged: 50 * mib}: false,
		{committed: 150 * mib, charged: 50 * mib}: true,
		{committed: 100 * mib, charged: 35 * mib}: false,
		{committed: 100 * mib, charged: 34 * mib}: true,
	} {
		if got := before.excessive(now); got != want {
			t.Errorf("%+v: %t", now, got)
		}
	}
	if (keeping{committed: mib}).excessive(keeping{committed: 16 * mib}) {
		t.Error("15 MiB are worth one")
	}
}
