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
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	k := keeping{charged: b.total()}
	if samples[0].Value.Kind() == metrics.KindUint64 && samples[1].Value.Kind() == metrics.KindUint64 {
		k.committed = int64(samples[0].Value.Uint64() - samples[1].Value.Uint64())
	}
	return k
}
