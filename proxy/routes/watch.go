package routes

import (
	"cmp"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

var (
	// errTimeout: no response header within timeout.
	errTimeout = errors.New("no response header in time")
	// errIdle: no byte either way within stream_idle_timeout.
	errIdle = errors.New("no byte either way in time")
	// errHungUp: the client has hung up, which no reader of the connection notices.
	errHungUp = errors.New("the client has hung up, while the upstream read nothing of its request")
)

// lookAfter is how long nothing of an upload over HTTP/1.1 may move before each
// look whether its client has hung up.
const lookAfter = time.Second

// never is a delay longer than any exchange, for a timer that is off.
const never time.Duration = 1 << 62

// watch ends an exchange that takes too long, by one timer: it calls expire
// with errTimeout, errIdle or errHungUp, once, and never after stop has returned.
type watch struct {
	timeout, idle time.Duration // 0 is off
	expire        func(cause error)
	began         time.Time
	last          atomic.Int64 // of the last byte, since began

	mu       sync.Mutex
	timer    *time.Timer
	waiting  bool          // a response header may still come
	headerBy time.Duration // since began; 0 while the request is being read
	hungUp   func() bool   // reports whether the client of an upload has hung up; nil without
	over     bool
}

func (w *watch) start(timeout, idle time.Duration, expire func(error)) {
	w.timeout, w.idle, w.expire, w.began, w.waiting = timeout, idle, expire, time.Now(), true
	if timeout > 0 || idle > 0 {
		w.mu.Lock()
		defer w.mu.Unlock()
		// Until the request is read, only idleness counts.
		w.timer = time.AfterFunc(cmp.Or(idle, never), w.fire)
	}
}

// touch notes that a byte moved.
func (w *watch) touch() { w.last.Store(int64(time.Since(w.began))) }

// look has hungUp asked where nothing moves, until the request is read.
func (w *watch) look(hungUp func() bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return
	}
	if w.hungUp = hungUp; w.timer == nil {
		w.timer = time.AfterFunc(lookAfter, w.fire)
		return
	}
	w.arm()
}

// requestRead starts timeout.
func (w *watch) requestRead() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hungUp = nil
	if w.timeout > 0 && w.waiting && w.headerBy == 0 && !w.over {
		w.headerBy = time.Since(w.began) + w.timeout
		w.arm()
	}
}

// headerDone ends timeout; idleness goes on counting.
func (w *watch) headerDone() {
	w.touch()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting, w.headerBy = false, 0
}

func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	if w.timer != nil {
		w.timer.Stop()
	}
}

// replace has expire called in place of the function given at start.
func (w *watch) replace(expire func(error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.expire, w.hungUp = expire, nil
}

func (w *watch) fire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return
	}
	var cause error
	switch now, last := time.Since(w.began), time.Duration(w.last.Load()); {
	case w.headerBy > 0 && now >= w.headerBy:
		cause = errTimeout
	case w.idle > 0 && now >= last+w.idle:
		cause = errIdle
	case w.hungUp != nil && now >= last+lookAfter && w.hungUp():
		cause = errHungUp
	default:
		w.arm()
		return
	}
	w.over = true
	w.expire(cause)
}

// arm sets the timer to whatever comes next. The caller holds mu.
func (w *watch) arm() {
	next := never
	if w.idle > 0 {
		next = time.Duration(w.last.Load()) + w.idle
	}
	if w.headerBy > 0 {
		next = min(next, w.headerBy)
	}
	if w.hungUp != nil {
		next = min(next, time.Since(w.began)+lookAfter)
	}
	w.timer.Reset(next - time.Since(w.began))
}
