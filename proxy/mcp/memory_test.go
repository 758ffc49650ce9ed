package mcp

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
	st := newStream(true, true, 8<<20)
	st.lease = b.Lease(memory.Answer)
	_, stop := st.reader()
	for i := range 2 {
		if !st.send(msg) {
			t.Fatalf("message %d is refused", i)
		}
	}
	spent(t, b, "two that wait", 2*size)
	for i := range 2 {
		if _, ok := st.next(stop, true); !ok {
			t.Fatalf("message %d is lost", i)
		}
		spent(t, b, "one is being written", (2-i)*size)
	}
	st.next(stop, true)
	spent(t, b, "all are written", 0)
	long := []byte(strings.Repeat("x", 2<<20))
	if st.send(long) {
		t.Error("a message is taken for which there is no memory")
	}
	if st.offer(200, long) {
		t.Error("an answer is taken for which there is no memory")
	}
	if st.finish(200, long[:1<<20]); st.answer == nil {
		t.Error("an answer that must be kept is not")
	}
	spent(t, b, "the answer waits", 1<<20)
	st.leave(stop)
	spent(t, b, "the reader has gone", 0)
	if st.finish(200, msg); b.Stats().Pressure != 0 {
		t.Error("what goes nowhere is charged")
	}
}

func TestASlowReaderIsEndedWhereMemoryIsShort(t *testing.T) {
	b := scarce()
	st := newStream(true, true, 8<<20)
	st.lease = b.Lease(memory.Answer)
	_, stop := st.reader()
	msg := []byte(strings.Repeat("x", 100<<10))
	for st.send(msg) {
	}
	select {
	case <-stop:
	default:
		t.Error("it has not ended")
	}
	spent(t, b, "it has ended", 0)
}

func TestWhatAResumedReaderCatchesUpWithIsCharged(t *testing.T) {
	const size = 100 << 10
	b := scarce()
	r := newReplay(limits(100), nil)
	st := written(t, r, false, 0)
	for range 5 {
		st.send([]byte(strings.Repeat("x", size)))
	}
	st.lease = b.Lease(memory.Answer)
	for range 3 { // each one takes the place of that before
		if err := st.resume(0); err != nil {
			t.Fatal(err)
		}
		spent(t, b, "nothing is written", 5*size)
	}
	r.giveUp()
	_, stop := st.reader()
	st.next(stop, true)
	st.next(stop, true)
	spent(t, b, "one is written", 4*size)
	st.leave(stop)
	spent(t, b, "the reader has gone", 0)
	if err := b.Charge(memory.Body, 900<<10); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		st.send([]byte(strings.Repeat("x", size)))
	}
	if err := st.resume(5); !errors.Is(err, memory.ErrExhausted) {
		t.Error(err)
	}
	spent(t, b, "it was refused", 0)
}

func TestABatchIsChargedUntilItIsAnswered(t *testing.T) {
	members := make([]member, 3)
	for i := range members {
		members[i].refusal = []byte(`{}`)
	}
	long := []byte(strings.Repeat("x", 400<<10))
	b := scarce()
	out := new(answers)
	whole := newBatch(out, members, b.Lease(memory.Answer))
	if !whole.member(0).offer(200, long) || !whole.member(1).offer(200, long) {
		t.Fatal("there is memory for two")
	}
	spent(t, b, "two are there", 2*len(long))
	if whole.member(2).offer(200, long) {
		t.Error("there is none for a third")
	}
	whole.member(2).finish(200, []byte(`{}`))
	if spent(t, b, "it is answered", 0); len(out.last) < 2*len(long) {
		t.Errorf("it is answered by %d bytes", len(out.last))
	}

	broken := newBatch(out, members, b.Lease(memory.Answer))
	broken.member(0).offer(200, long)
	broken.interrupted()
	spent(t, b, "it was interrupted", 0)
}
