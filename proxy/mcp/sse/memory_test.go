package sse

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/internal/memory"
)

// charged returns a Reader of what s says, which is charged to a budget of 1 MiB,
// and the budget.
func charged(s string) (*Reader, *memory.Budget) {
	b := memory.New(nil)
	b.SetLimit(1 << 20)
	r := NewReader(strings.NewReader(s), 16<<20)
	r.Skim = func(short bool) io.Writer { return &skimmed{short: short} }
	r.Lease = b.Lease(memory.Answer)
	return r, b
}

// skimmed keeps what it is given.
type skimmed struct {
	strings.Builder
	short bool
}

func TestAnEventForWhichThereIsNoMemoryIsPassedOver(t *testing.T) {
	long := strings.Repeat("abcdefg\x00", 256<<10)
	for name, data := range map[string]string{
		"one line":   long,
		"many lines": strings.TrimSuffix(strings.Repeat(long[:3000]+"\n", 700), "\n"),
		"both":       "x\n" + long + "\ny",
	} {
		r, b := charged("data: " + strings.ReplaceAll(data, "\n", "\ndata: ") + "\n\ndata: short\n\n")
		event, err := r.Next()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		s, ok := event.Skimmed.(*skimmed)
		if !ok || event.Data != nil {
			t.Fatalf("%s: it was kept", name)
		}
		if !s.short || s.String() != data {
			t.Errorf("%s: %d bytes were passed over, short of memory: %t", name, s.Len(), s.short)
		}
		if event, err = r.Next(); err != nil || string(event.Data) != "short" {
			t.Errorf("%s: then came %q (%v)", name, event.Data, err)
		}
		if r.Close(); b.Stats().Pressure != 0 {
			t.Errorf("%s: %d bytes stay charged", name, b.Stats().Pressure)
		}
	}
}

func TestAnEventIsChargedUntilTheNext(t *testing.T) {
	r, b := charged("data: " + strings.Repeat("x", 100<<10) + "\n\ndata: short\n\n")
	if event, err := r.Next(); err != nil || len(event.Data) != 100<<10 || b.Stats().Charged[memory.Answer] < 100<<10 {
		t.Errorf("%d bytes (%v), %d are charged", len(event.Data), err, b.Stats().Charged[memory.Answer])
	}
	if _, err := r.Next(); err != nil || b.Stats().Pressure != 0 {
		t.Errorf("%d bytes stay charged (%v)", b.Stats().Pressure, err)
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// A stream that has only comments would else use up what there is for others.
func TestCommentsAreNotCharged(t *testing.T) {
	comment := ":" + strings.Repeat("x", 20<<10) + "\n"
	r, b := charged("data: x\n" + strings.Repeat(comment, 200) + "data: y\n\n")
	if event, err := r.Next(); err != nil || string(event.Data) != "x\ny" {
		t.Errorf("%q (%v)", event.Data, err)
	}
	if n := b.Stats().Charged[memory.Answer]; n > 32<<10 {
		t.Errorf("%d bytes are charged", n)
	}
}
