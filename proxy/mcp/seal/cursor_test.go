package seal

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestACircleOfCursorsEnds(t *testing.T) {
	for before := range 5 {
		for circle := 1; circle <= 100; circle++ {
			var walked trail
			steps := 0
			for ; steps < 1000; steps++ {
				next, repeats := walked.step(fmt.Sprint(min(steps, before) + max(0, steps-before)%circle))
				if repeats {
					break
				}
				walked = next
			}
			if exact := before + circle; circle <= trailRecent && steps != exact || steps > 4*exact {
				t.Errorf("a circle of %d after %d ends after %d", circle, before, steps)
			}
		}
	}
	var walked trail
	for i := range 10000 {
		next, repeats := walked.step(fmt.Sprint(i))
		if repeats {
			t.Fatalf("a list without a circle ends after %d", i)
		}
		walked = next
	}
}

func FuzzCursor(f *testing.F) {
	sealer, err := New([][]byte{make([]byte, MinKey)})
	if err != nil {
		f.Fatal(err)
	}
	in := Scope{Route: "r", Principal: "p", Method: "tools/list"}
	page := "next"
	f.Add(sealer.Cursor(in, Position{Cluster: "c", Page: &page, Skip: 3}, time.Now()))
	f.Add("")
	f.Add(strings.Repeat("A", 100))
	f.Fuzz(func(t *testing.T, cursor string) {
		p, err := sealer.OpenCursor(in, cursor, time.Now())
		if err == nil && (p.Cluster != "c" || p.Skip != 3) {
			t.Errorf("%q opens as %+v", cursor, p)
		}
	})
}
