package proxy

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/mcpgateway/mcpgateway/proxy/admin"
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

// TestAReloadOfTenTimesTheFileAllocatesTenTimes applies files of two sizes, twice
// each, and compares what the second application allocates: a step that is done for
// each pair of routes or clusters would show as a hundred times.
func TestAReloadOfTenTimesTheFileAllocatesTenTimes(t *testing.T) {
	small, large := reloadAllocations(t, 300), reloadAllocations(t, 3000)
	if large.Mallocs > 15*small.Mallocs || large.TotalAlloc > 15*small.TotalAlloc {
		t.Errorf("a reload of 300 routes and clusters makes %d allocations of %d bytes, one of 3000 %d of %d",
			small.Mallocs, small.TotalAlloc, large.Mallocs, large.TotalAlloc)
	}
}

// reloadAllocations applies a file of n routes and clusters, and then one in which
// all of them differ. It returns what that allocated.
func reloadAllocations(t *testing.T, n int) runtime.MemStats {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	write := func(timeout string) {
		var text strings.Builder
		text.WriteString("reload: {watch: false}\nlisteners: [{name: web, address: \"127.0.0.1:0\"}]\nroutes:\n")
		for i := range n {
			fmt.Fprintf(&text, "  - {name: r%d, match: {path_prefix: /r%d}, cluster: c%d, timeout: %s}\n", i, i, i, timeout)
		}
		text.WriteString("clusters:\n")
		for i := range n {
			fmt.Fprintf(&text, "  - {name: c%d, endpoints: [\"http://127.0.0.1:9\"], connect_timeout: %s}\n", i, timeout)
		}
		if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("4s")
	g := New(Options{Path: path, Stderr: io.Discard})
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- g.Run(ctx, nil, nil, nil) }()
	defer func() {
		stop()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	}()
	if _, err := g.Reload(ctx); err != nil { // answered once the first is applied
		t.Fatal(err)
	}
	write("5s")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	o, err := g.Reload(ctx)
	runtime.ReadMemStats(&after)
	if err != nil || o.Result != admin.Applied {
		t.Fatalf("%v, %v", o, err)
	}
	after.Mallocs -= before.Mallocs
	after.TotalAlloc -= before.TotalAlloc
	return after
}
