package harness

import (
	"testing"
	"time"
)

// fatal is an error that no later try will mend.
type fatal struct{ error }

// Fatal makes Eventually and Within fail the test at once, with err.
func Fatal(err error) error { return fatal{err} }

// Eventually polls until f returns nil. It fails the test with f's last error
// after 20 seconds, or with the first that Fatal made.
func Eventually(t testing.TB, what string, f func() error) {
	t.Helper()
	Within(t, 20*time.Second, what, f)
}

// Within is Eventually with another patience.
func Within(t testing.TB, patience time.Duration, what string, f func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := f()
		if err == nil {
			return
		}
		if _, now := err.(fatal); now || time.Now().After(deadline) {
			t.Fatalf("waiting for %s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
