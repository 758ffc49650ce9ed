package proxy

import (
	"fmt"
	"testing"
)

// TestDiffReadsEachNameAFewTimes holds the comparison of two states to a number
// of steps that grows with their size, not with its square: a reload of ten
// thousand routes took minutes.
func TestDiffReadsEachNameAFewTimes(t *testing.T) {
	type item struct{ Name, Value string }
	for _, n := range []int{1000, 10000} {
		old, changed := make([]item, n), make([]item, n)
		for i := range old {
			old[i] = item{fmt.Sprintf("old-%d", i), "a"}
			changed[i] = item{fmt.Sprintf("new-%d", i), "a"}
		}
		// The last half stays, with another value.
		for i := n / 2; i < n; i++ {
			changed[i] = item{old[i].Name, "b"}
		}
		reads, differ := 0, map[Change]int{}
		name := func(it *item) string { reads++; return it.Name }
		diffNamed(old, changed, name, func(_ string, a, b *item) { differ[change(a, b)]++ })
		if differ[Added] != n/2 || differ[Removed] != n/2 || differ[Changed] != n/2 {
			t.Errorf("%d items: differences %v, want %d of each kind", n, differ, n/2)
		}
		if reads > 10*n {
			t.Errorf("%d items: their names were read %d times, want at most %d", n, reads, 10*n)
		}
	}
}
