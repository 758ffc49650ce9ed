package eventstream

import (
	"errors"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/internal/memory"
)

// scarce is a budget of 1 MiB.
func scarce() *memory.Budget {
	b := memory.New(nil)
	b.SetLimit(1 << 20)
	return b
}

// spent fails the test unless the budget has as many answers as said, to a step.
func spent(t *testing.T, b *memory.Budget, what string, want int) {
	t.Helper()
	got := int(b.Stats().Charged[memory.Answer])
	if got < want || got > want+32<<10 {
		t.Errorf("%s: %d bytes are charged, want %d", what, got, want)
	}
}

func TestAStreamIsChargedWhileItHasAReader(t *testing.T) {
	const size = 100 << 10
	msg := []byte(strings.Repeat("x", size))
	b := scarce()
	st := New(Options{Open: true, Eager: true, Bytes: 8 << 20, Lease: b.Lease(memory.Answer)})
	reader := st.Reader()
	for i := range 2 {
		if !st.Send(msg) {
			t.Fatalf("message %d is refused", i)
		}
	}
	spent(t, b, "two that wait", 2*size)
	for i := range 2 {
		if _, ok := reader.next(true); !ok {
			t.Fatalf("message %d is lost", i)
		}
		spent(t, b, "one is being written", (2-i)*size)
	}
	reader.next(true)
	spent(t, b, "all are written", 0)
	long := []byte(strings.Repeat("x", 2<<20))
	if st.Send(long) {
		t.Error("a message is taken for which there is no memory")
	}
	if st.Offer(200, long) {
		t.Error("an answer is taken for which there is no memory")
	}
	if st.Finish(200, long[:1<<20]); st.answer == nil {
		t.Error("an answer that must be kept is not")
	}
	spent(t, b, "the answer waits", 1<<20)
	reader.Leave()
	spent(t, b, "the reader has gone", 0)
	if st.Finish(200, msg); b.Stats().Pressure != 0 {
		t.Error("what goes nowhere is charged")
	}
}

func TestASlowReaderIsEndedWhereMemoryIsShort(t *testing.T) {
	b := scarce()
	st := New(Options{Open: true, Eager: true, Bytes: 8 << 20, Lease: b.Lease(memory.Answer)})
	reader := st.Reader()
	msg := []byte(strings.Repeat("x", 100<<10))
	for st.Send(msg) {
	}
	select {
	case <-reader.Stopped():
	default:
		t.Error("it has not ended")
	}
	spent(t, b, "it has ended", 0)
}

func TestWhatAResumedReaderCatchesUpWithIsCharged(t *testing.T) {
	const size = 100 << 10
	b := scarce()
	r := NewStore(limits(100), nil)
	st := written(t, r, false, 0)
	for range 5 {
		st.Send([]byte(strings.Repeat("x", size)))
	}
	st.lease = b.Lease(memory.Answer)
	var reader Reader
	for range 3 { // each one takes the place of that before
		var err error
		if reader, err = st.Resume(0); err != nil {
			t.Fatal(err)
		}
		spent(t, b, "nothing is written", 5*size)
	}
	r.Discard()
	reader.next(true)
	reader.next(true)
	spent(t, b, "one is written", 4*size)
	reader.Leave()
	spent(t, b, "the reader has gone", 0)
	if err := b.Charge(memory.Body, 900<<10); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		st.Send([]byte(strings.Repeat("x", size)))
	}
	if _, err := st.Resume(5); !errors.Is(err, memory.ErrExhausted) {
		t.Error(err)
	}
	spent(t, b, "it was refused", 0)
}
