// Package testkit is what the tests of many packages need: waiting for what
// another goroutine or process does, a log that is read while it is written,
// ports, and files. Only tests and their harnesses import it.
package testkit

import (
	"errors"
	"testing"
	"time"
)

// Patience is how long Eventually, Retry and Receive wait: long for a machine
// that runs other tests besides, and over at once where what they wait for comes.
const Patience = 20 * time.Second

// Eventually polls until ok returns true, and fails the test if it never does.
// what says what is waited for, as in "the place is free again". Nothing tells
// of some things; where something does, Receive waits for it.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	RetryFor(t, Patience, what, func() error {
		if !ok() {
			return errNotYet
		}
		return nil
	})
}

var errNotYet = errors.New("it never happened")

// fatal is an error that no later try will mend.
type fatal struct{ error }

// Fatal has Retry and RetryFor fail the test at once, with err.
func Fatal(err error) error { return fatal{err} }

// Retry polls until f returns nil, and fails the test with f's last error if it
// never does, or with the first that Fatal made.
func Retry(t testing.TB, what string, f func() error) {
	t.Helper()
	RetryFor(t, Patience, what, f)
}

// RetryFor is Retry with another patience.
func RetryFor(t testing.TB, patience time.Duration, what string, f func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, 20*time.Millisecond) {
		err := f()
		if err == nil {
			return
		}
		if _, now := errors.AsType[fatal](err); now || time.Now().After(deadline) {
			t.Fatalf("waiting for %s: %v", what, err)
		}
		time.Sleep(pause)
	}
}

// Receive waits for a value, or for the end, of a channel, and fails the test if
// neither comes.
func Receive[T any](t testing.TB, from <-chan T, what string) T {
	t.Helper()
	patience := time.NewTimer(Patience)
	defer patience.Stop()
	select {
	case v := <-from:
		return v
	case <-patience.C:
		t.Fatalf("waiting for %s: it never happened", what)
		panic("unreachable")
	}
}
