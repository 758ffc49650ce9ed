package memory

import (
	"runtime"
	"runtime/debug"
	"time"
)

const (
	// lookEvery is how often the level is looked at while it is not Normal.
	lookEvery = 250 * time.Millisecond
	// collectEvery is how often garbage is collected, at most, to see whether
	// what was live still is: an idle process does so every two minutes only, and
	// would refuse for as long what it has room for.
	collectEvery = 5 * time.Second
	// returnEvery is the same for the memory that is given back to the system when
	// a shortage is over: at once, and as much later for what was still in use.
	returnEvery = 5 * time.Second
)

// Watch has the budget look at what is live after each garbage collection, and
// tell changes of its level, until Close. It is called once at most.
func (b *Budget) Watch() {
	collected := make(chan struct{}, 1)
	b.measure()
	b.rearm(collected)
	kept := b.kept()
	b.watching.Go(func() { b.watch(collected, kept) })
}

// Close ends Watch.
func (b *Budget) Close() {
	b.once.Do(func() { close(b.closing) })
	b.watching.Wait()
}

// Relief has a value while memory is severely short: its receiver gives up what is
// idle, as many bytes as Surplus says. There is one receiver.
func (b *Budget) Relief() <-chan struct{} {
	if b == nil {
		return nil
	}
	return b.relief
}

// rearm has the next garbage collection send a value, and each one after it: an
// object that nothing refers to is found by the first.
func (b *Budget) rearm(collected chan struct{}) {
	sentinel := new([16]byte) // larger than what the runtime allocates together
	runtime.AddCleanup(sentinel, func(struct{}) {
		select {
		case <-b.closing:
			return
		default:
		}
		signal(collected)
		b.rearm(collected)
	}, struct{}{})
}

func (b *Budget) watch(collected <-chan struct{}, kept keeping) {
	tick := time.NewTicker(lookEvery)
	tick.Stop()
	defer tick.Stop()
	level, last, returned := Normal, time.Now(), time.Time{} // last is the last collection
	again := time.NewTimer(returnEvery)
	again.Stop()
	defer again.Stop()
	idle := time.NewTicker(b.idleEvery)
	defer idle.Stop()
	free := func() {
		charged := b.total()
		debug.FreeOSMemory()
		returned, kept = time.Now(), b.kept()
		// What was given up while it ran may have been live when garbage was marked.
		kept.charged = max(kept.charged, charged)
	}
	freeAgain := func() {
		if time.Since(returned) >= returnEvery {
			free()
		}
	}
	for {
		select {
		case <-b.closing:
			return
		case <-collected:
			b.measure()
			last = time.Now()
		case <-b.pressed:
		case <-again.C:
			if level == Normal {
				freeAgain()
			}
		case <-tick.C:
			if time.Since(last) >= b.collectEvery {
				last = time.Now()
				runtime.GC()
				b.measure()
			}
		case <-idle.C:
			if now := b.kept(); level == Normal && time.Since(last) >= b.idleEvery && kept.excessive(now) {
				free()
			} else {
				kept.charged = max(kept.charged, now.charged)
			}
		}
		before := level
		s := b.Stats()
		if level = settled(before, s.Pressure, s.Limit); level != before {
			if b.trace != nil && b.trace.Changed != nil {
				b.trace.Changed(before, level, s)
			}
			switch {
			case before == Normal:
				tick.Reset(lookEvery)
			case level == Normal:
				tick.Stop()
				freeAgain()
				again.Reset(returnEvery)
			}
		}
		if level >= Severe {
			signal(b.relief)
		}
	}
}

// measure looks at what the last garbage collection left.
func (b *Budget) measure() {
	heap, stacks := read("/gc/heap/live:bytes", "/memory/classes/heap/stacks:bytes")
	charged := b.total()
	b.uncharged.Store(max(0, heap+stacks-max(charged, b.peak.Swap(charged))))
}
