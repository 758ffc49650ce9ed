package memory

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/iotest"
	"time"
)

const mib = 1 << 20

func limited(bytes int64) *Budget {
	b := New(nil)
	b.SetLimit(bytes)
	return b
}

func TestEachLevelRefusesWhatItSays(t *testing.T) {
	b := limited(100 * mib)
	var used int64
	fill := func(percent int64) {
		t.Helper()
		b.Return(Connection, used)
		used = max(0, percent*mib-b.total())
		b.charged[Connection].Add(used) // more than it takes itself
	}
	for _, c := range []struct {
		percent                                int64
		level                                  Level
		session, stream, small, large, growing bool
	}{
		{0, Normal, true, true, true, true, true},
		{69, Normal, true, true, true, true, true},
		{70, High, false, false, true, true, true},
		{84, High, false, false, true, true, true},
		{85, Severe, false, false, true, false, true},
		{89, Severe, false, false, true, false, true},
		{90, Severe, false, false, true, false, false},
		{94, Severe, false, false, true, false, false},
		{95, Critical, false, false, false, false, false},
	} {
		fill(0)
		begun := b.Lease(Body)
		if err := begun.Grow(long + 1); err != nil {
			t.Fatal(err)
		}
		fill(c.percent)
		if got := b.Level(); got != c.level {
			t.Errorf("at %d %%: level %v, want %v", c.percent, got, c.level)
		}
		takes := func(what string, want bool, err error) {
			if got := err == nil; got != want || err != nil && !errors.Is(err, ErrExhausted) {
				t.Errorf("at %d %%: a %s is taken: %t (%v), want %t", c.percent, what, got, err, want)
			}
		}
		charge := func(what string, k Kind, want bool) {
			err := b.Charge(k, 1)
			takes(what, want, err)
			if err == nil {
				b.Return(k, 1)
			}
		}
		charge("session", Session, c.session)
		charge("stream", Stream, c.stream)
		charge("event", Event, c.large)
		answer := func(what string, size int, want bool) {
			l := b.Lease(Answer)
			defer l.Release()
			takes(what, want, l.Grow(size))
		}
		answer("short answer", Large, c.small)
		answer("long answer", long+1, c.large)
		for _, promised := range []bool{true, false} {
			body := func(what string, want bool, length int64) {
				size := length
				if !promised {
					what, size = what+" without a length", -1
				}
				l := b.Lease(Body)
				defer l.Release()
				_, err := l.ReadAll(io.LimitReader(zeros{}, length), size)
				takes(what, want, err)
			}
			body("body of 64 KiB", c.small, Large)
			body("body of more", c.large, Large+1)
		}
		takes("body that grows", c.growing, begun.Grow(step))
		begun.Release()
	}
	if b.Return(Connection, used); b.Stats().Pressure != 0 {
		t.Errorf("a pressure of %d is left", b.Stats().Pressure)
	}
}

// zeros never end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestConnectionsTakeNoMoreThanTheirShare(t *testing.T) {
	b := limited(100 * mib)
	if err := b.Charge(Body, 90*mib); err != nil {
		t.Fatal(err)
	}
	n := 0
	for b.Charge(Connection, mib) == nil {
		n++
	}
	if n != 50 {
		t.Errorf("connections took %d %%", n)
	}
}

func TestShortBodiesTouchNothingShared(t *testing.T) {
	b := limited(100 * mib)
	l := b.Lease(Body)
	if err := l.Grow(unnoticed); err != nil || b.total() != 0 {
		t.Errorf("%d bytes are charged (%v)", b.total(), err)
	}
	if err := l.Grow(1); err != nil || b.total() != step {
		t.Errorf("%d bytes are charged (%v)", b.total(), err)
	}
	if l.Shrink(1); b.total() != 0 {
		t.Errorf("%d bytes are charged after it shrank", b.total())
	}
}

func TestBodiesAreReadWhole(t *testing.T) {
	for _, length := range []int{0, 1, 511, 1023, 1024, 1025, firstPart - 1, firstPart, firstPart + 1, part, 3*part + 5, mib} {
		want := bytes.Repeat([]byte("abcdefg"), length/7+1)[:length]
		for _, size := range []int64{-1, int64(length)} {
			for name, r := range map[string]io.Reader{"whole": bytes.NewReader(want), "halves": iotest.HalfReader(bytes.NewReader(want)), "end with data": iotest.DataErrReader(bytes.NewReader(want))} {
				b := limited(100 * mib)
				l := b.Lease(Body)
				got, err := l.ReadAll(r, size)
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s: %d bytes of %d, promised %d: %v", name, len(got), length, size, err)
				}
				if held := l.Held(); held < int64(length) {
					t.Errorf("%s: %d bytes are held of %d", name, held, length)
				}
				if l.Release(); b.total() != 0 {
					t.Errorf("%s: %d bytes stay charged", name, b.total())
				}
			}
		}
	}
}

// A body is charged as it comes, before it is read, and never for what was only
// promised.
func TestBodyThatPassesTheLimitIsRefusedBeforeItIsRead(t *testing.T) {
	b := limited(mib)
	l := b.Lease(Body)
	read := 0
	_, err := l.ReadAll(readerFunc(func(p []byte) (int, error) {
		if read += len(p); int64(read) > b.total() {
			t.Errorf("%d bytes are read, and %d charged", read, b.total())
		}
		return len(p), nil
	}), 100*mib)
	if !errors.Is(err, ErrExhausted) || read > mib {
		t.Errorf("%d bytes were read: %v", read, err)
	}
	if l.Release(); b.total() != 0 {
		t.Errorf("%d bytes stay charged", b.total())
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestAnnouncedBodyIsRefusedUnread(t *testing.T) {
	b := limited(100 * mib)
	b.Charge(Body, 90*mib)
	l := b.Lease(Body)
	if _, err := l.ReadAll(iotest.ErrReader(errors.New("it was read")), Large+1); !errors.Is(err, ErrExhausted) {
		t.Error(err)
	}
}

func TestANilBudgetHasNoLimit(t *testing.T) {
	var b *Budget
	l := b.Lease(Body)
	if _, err := l.ReadAll(strings.NewReader(strings.Repeat("x", mib)), -1); err != nil {
		t.Error(err)
	}
	l.Shrink(5)
	l.Release()
	if b.Charge(Session, mib) != nil || b.Level() != Normal || b.Surplus() != 0 {
		t.Error("it refuses")
	}
	b.Return(Session, mib)
}

func TestChargesOfManyAddUp(t *testing.T) {
	b := limited(64 * mib)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				l := b.Lease(Body)
				for l.Grow(part) == nil && l.Held() < mib {
				}
				if n := b.total(); n > 80*mib {
					t.Errorf("%d bytes are charged", n)
				}
				l.Release()
			}
		})
	}
	wg.Wait()
	if n := b.total(); n != 0 {
		t.Errorf("%d bytes stay charged", n)
	}
}

// What nothing was charged for presses all the same, once garbage was collected.
func TestWhatIsLivePresses(t *testing.T) {
	changes := make(chan Level, 16)
	b := New(&Trace{Changed: func(_, to Level, _ Stats) { changes <- to }})
	b.SetLimit(100 * mib)
	b.collectEvery = 10 * time.Millisecond
	b.Watch()
	defer b.Close()
	hoard := make([][]byte, 0, 128)
	for range 128 {
		hoard = append(hoard, make([]byte, mib))
	}
	runtime.GC()
	until := func(want Level) {
		for level := range changes {
			if level == want {
				return
			}
		}
	}
	until(Critical)
	<-b.Relief()
	if b.Surplus() < 20*mib {
		t.Errorf("the surplus is %d", b.Surplus())
	}
	runtime.KeepAlive(hoard) // the last use: from here on they are garbage
	// It looks by itself whether they are gone.
	until(Normal)
}

func TestLevelsAreLeftFurtherDownThanTheyAreEntered(t *testing.T) {
	const limit = 1000
	level := Normal
	for _, c := range []struct {
		pressure int64
		want     Level
	}{{699, Normal}, {700, High}, {690, High}, {650, High}, {649, Normal}, {960, Critical}, {920, Critical}, {890, Severe}, {810, Severe}, {640, Normal}} {
		if level = settled(level, c.pressure, limit); level != c.want {
			t.Errorf("at %d: %v, want %v", c.pressure, level, c.want)
		}
	}
}

func TestTheSystemsLimitIsTheLeastThatHolds(t *testing.T) {
	meminfo := &fstest.MapFile{Data: []byte("MemFree: 1 kB\nMemTotal:       24000 kB\n")}
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	for name, c := range map[string]struct {
		files fstest.MapFS
		want  int64
		from  string
	}{
		"no cgroup": {fstest.MapFS{}, 24000 << 10, "machine"},
		"version 2": {fstest.MapFS{
			"proc/self/cgroup": file("0::/system.slice/gateway.service\n"),
			"sys/fs/cgroup/system.slice/gateway.service/memory.max": file("max\n"),
			"sys/fs/cgroup/system.slice/memory.max":                 file("536870912\n"),
		}, 512 * mib, "cgroup"},
		"version 2, own is less": {fstest.MapFS{
			"proc/self/cgroup":             file("0::/a/b\n"),
			"sys/fs/cgroup/a/b/memory.max": file("1048576\n"),
			"sys/fs/cgroup/a/memory.max":   file("536870912\n"),
		}, mib, "cgroup"},
		"in a container that sees its own part": {fstest.MapFS{
			"proc/self/cgroup":         file("0::/docker/0123\n"),
			"sys/fs/cgroup/memory.max": file("268435456\n"),
		}, 256 * mib, "cgroup"},
		"version 1": {fstest.MapFS{
			"proc/self/cgroup": file("5:cpu,cpuacct:/x\n4:memory:/x\n0::/x\n"),
			"sys/fs/cgroup/memory/x/memory.limit_in_bytes": file("134217728\n"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes":   file("9223372036854771712\n"),
		}, 128 * mib, "cgroup"},
		"no limit in version 1": {fstest.MapFS{
			"proc/self/cgroup":                           file("4:memory:/\n"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes": file("9223372036854771712\n"),
		}, 24000 << 10, "machine"},
	} {
		c.files["proc/meminfo"] = meminfo
		if got, from := System(c.files); got != c.want || from != c.from {
			t.Errorf("%s: %d from %s, want %d from %s", name, got, from, c.want, c.from)
		}
	}
	if got, _ := System(fstest.MapFS{}); got != 0 {
		t.Errorf("a system that says nothing has %d", got)
	}
}

func TestWhatMovesStaysCharged(t *testing.T) {
	b := limited(100 * mib)
	var to Lease
	for range 100 {
		l := b.Lease(Answer)
		if err := l.Grow(unnoticed); err != nil {
			t.Fatal(err)
		}
		l.MoveTo(&to)
		if l.Release(); l.Held() != 0 {
			t.Errorf("%d bytes are left behind", l.Held())
		}
	}
	if n := b.total(); to.Held() != 100*unnoticed || n < to.Held() {
		t.Errorf("%d bytes moved, %d are charged", to.Held(), n)
	}
	if to.Release(); b.total() != 0 {
		t.Errorf("%d bytes stay charged", b.total())
	}
}

func TestWhatCannotBeRefusedIsCharged(t *testing.T) {
	b := limited(mib)
	l := b.Lease(Answer)
	for l.Grow(step) == nil {
	}
	before := b.total()
	if l.Force(step); b.total() != before+step {
		t.Errorf("%d bytes are charged, and were %d before", b.total(), before)
	}
	if l.Shrink(10 * mib); b.total() != 0 || l.Held() != 0 {
		t.Errorf("%d bytes stay charged", b.total())
	}
}
