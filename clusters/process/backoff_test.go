package process

import (
	"errors"
	"testing"
	"time"
)

func TestBackoffGrowsToAMinuteAndStartsAnewAfterAStableRun(t *testing.T) {
	var b Backoff
	now := time.Now()
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		b.failed(errors.New("exit status 1"), 0, now)
		// Others that end in the same moment change nothing.
		b.failed(errors.New("exit status 1"), 0, now)
		got, _ := b.wait(now)
		if got != want*time.Second {
			t.Fatalf("wait is %v, want %v", got, want*time.Second)
		}
		now = now.Add(got)
	}
	now = now.Add(time.Hour)
	b.failed(errors.New("exit status 1"), stableRun, now)
	if got, _ := b.wait(now); got != time.Second {
		t.Errorf("after a stable run the wait is %v", got)
	}
}
