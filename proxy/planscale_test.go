package proxy

import (
	"fmt"
	"strings"
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

// TestAPlanOfManyChangesIsStillALine holds what the log says of a reload to a
// length that a person reads.
func TestAPlanOfManyChangesIsStillALine(t *testing.T) {
	var p Plan
	for i := range 10000 {
		p.Clusters = append(p.Clusters, ClusterChange{Name: fmt.Sprintf("c%d", i), Change: Added})
	}
	if line := p.String(); len(line) > 1000 || !strings.HasPrefix(line, "clusters +c0 +c1 ") || !strings.HasSuffix(line, " +c49 and 9950 more") {
		t.Errorf("the plan of 10,000 new clusters is %q", line)
	}
}
