package memory

import (
	"runtime/metrics"
	"time"
)

const (
	// idleEvery is how often the Budget looks at a process whose memory is not
	// short. A process that has collected no garbage for as long counts as idle.
	idleEvery = 10 * time.Second
	// worthwhile is how many bytes an idle process may keep without need before
	// they are returned to the system.
	worthwhile = 16 << 20
)

// keeping is what the process kept when memory was last returned, in bytes.
//
// The runtime collects garbage when the heap has doubled, or after two minutes,
// and returns what that leaves over slowly. A gateway whose clients have left
// would for minutes look to its operator as if they were still there.
type keeping struct{ committed, charged int64 }

// excessive reports whether an idle process has garbage that is worth a
// collection: it has grown by half, or much that was charged is not any more.
func (k keeping) excessive(now keeping) bool {
	return now.committed >= k.committed+max(worthwhile, k.committed/2) || now.charged <= k.charged-worthwhile
}

// kept is what the process keeps now.
func (b *Budget) kept() keeping {
	total, released := read("/memory/classes/total:bytes", "/memory/classes/heap/released:bytes")
	return keeping{committed: total - released, charged: b.total()}
}

// read returns two numbers of the runtime; 0 for one that it does not have.
func read(a, b string) (x, y int64) {
	samples := []metrics.Sample{{Name: a}, {Name: b}}
	metrics.Read(samples)
	number := func(s metrics.Sample) int64 {
		if s.Value.Kind() != metrics.KindUint64 {
			return 0
		}
		return int64(s.Value.Uint64())
	}
	return number(samples[0]), number(samples[1])
}
