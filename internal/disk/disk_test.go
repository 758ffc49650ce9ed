package disk

import (
	"context"
	"errors"
	"io/fs"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestAFileThatHangsHoldsOneThreadAndNoOtherFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New(t.Context(), Timeout)
		hung := make(chan struct{})
		var calls atomic.Int32
		read := func() (int, error) { n := calls.Add(1); <-hung; return int(n), nil }
		for range 2 * concurrent {
			_, err := Do(t.Context(), d, "read", "hung", read)
			if _, ok := errors.AsType[*fs.PathError](err); !ok || !errors.Is(err, ErrNoAnswer) {
				t.Fatalf("got %v", err)
			}
		}
		if n := calls.Load(); n != 1 {
			t.Errorf("%d system calls hang", n)
		}
		if n, err := Do(t.Context(), d, "read", "other", func() (int, error) { return 7, nil }); n != 7 || err != nil {
			t.Errorf("another file: %d, %v", n, err)
		}
		close(hung)
		if n, err := Do(t.Context(), d, "read", "hung", read); n != 2 || err != nil {
			t.Errorf("once it answers: %d, %v", n, err)
		}
	})
}

func TestADiskWaitsForNothingWhenItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ending, end := context.WithCancel(t.Context())
		d := New(ending, Timeout)
		hung := make(chan struct{})
		defer close(hung)
		time.AfterFunc(time.Second, end)
		began := time.Now()
		_, err := Do(t.Context(), d, "read", "hung", func() (int, error) { <-hung; return 0, nil })
		if took := time.Since(began); err == nil || took != time.Second {
			t.Errorf("%v after %s", err, took)
		}
	})
}
