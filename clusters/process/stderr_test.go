package process

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestAFloodOnStderrIsLimitedAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := make(chan int, 10)
		l := &lineLimit{omitted: func(lines int) { told <- lines }}
		flood := func(lines int) (passed int) {
			for range lines {
				if l.pass() {
					passed++
				}
			}
			return passed
		}
		if n := flood(1000); n != stderrLines || len(told) != 0 {
			t.Errorf("%d lines passed, told %d times", n, len(told))
		}
		// Then the process falls silent.
		time.Sleep(stderrWindow)
		synctest.Wait()
		if len(told) != 1 || <-told != 1000-stderrLines {
			t.Error("what was left out is not told")
		}
		if n := flood(stderrLines); n != stderrLines {
			t.Errorf("%d lines passed in the next window", n)
		}
		flood(1)
		l.close()
		if len(told) != 1 || <-told != 1 {
			t.Error("what was left out last is not told")
		}
	})
}

func TestAProcessThatWritesALittleAlwaysIsLoggedWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lineLimit{omitted: func(lines int) { t.Errorf("%d lines are left out", lines) }}
		defer l.close()
		for i := range 10 * stderrLines {
			if !l.pass() {
				t.Fatalf("line %d is left out", i)
			}
			time.Sleep(2 * stderrWindow / stderrLines)
		}
	})
}
