package logging

import (
	"bytes"
	"io"
	"sync"
	"time"
)

// How many bytes of lines wait for one destination. What comes above that is
// dropped. Lines of level error, and above them those of reloads, have room of
// their own: requests, which clients send at will, cannot push them out.
const (
	roomOfLines   = 1 << 20
	roomOfErrors  = roomOfLines + 256<<10
	roomOfReloads = roomOfErrors + 256<<10
)

// maxChunk bounds one write, in bytes, and with it what a failed one costs.
const maxChunk = 64 << 10

// queue passes lines on to one destination, in order, from a goroutine of its
// own.
type queue struct {
	out io.Writer
	// count is told of each dropped line.
	count func(dropped int)

	// mu guards everything that follows.
	mu sync.Mutex
	// notice formats the line that tells how many were dropped.
	notice  func(dropped int) []byte
	waiting []byte
	// writing is how many bytes the goroutine took and has not written yet.
	writing int
	// untold are the dropped lines that the log has not mentioned.
	untold  int
	running bool
	closed  bool
	// wake has a value when there is something to do for the goroutine.
	wake chan struct{}
	// done is closed when the goroutine has ended.
	done chan struct{}
}

func newQueue(out io.Writer, notice func(dropped int) []byte, count func(dropped int)) *queue {
	return &queue{out: out, notice: notice, count: count, wake: make(chan struct{}, 1), done: make(chan struct{})}
}

// put takes a copy of one line, unless more than room bytes would wait then. It
// never waits for the destination. It reports false where the queue is closed:
// then the line was not taken and not counted.
func (q *queue) put(line []byte, room int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	if len(q.waiting)+q.writing+len(line) > room {
		q.dropped(1)
		return true
	}
	q.waiting = append(q.waiting, line...)
	if !q.running {
		q.running = true
		go q.run()
	}
	q.signal()
	return true
}

func (q *queue) dropped(n int) {
	q.untold += n
	q.count(n)
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// close refuses later lines; the goroutine ends when it has written those that
// wait. Waiting for done is the caller's choice, since a write may never return.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	q.closed = true
	if !q.running {
		close(q.done)
	}
	q.signal()
}

// closeWithin is close, and gives up what is not written after d. It reports
// whether the goroutine has ended.
func (q *queue) closeWithin(d time.Duration) bool {
	q.close()
	select {
	case <-q.done:
		return true
	case <-time.After(d):
		q.locked(func() {
			q.dropped(bytes.Count(q.waiting, newline))
			q.waiting = nil
		})
		return false
	}
}

var newline = []byte{'\n'}

func (q *queue) run() {
	defer close(q.done)
	torn, failing := false, false // what the last write left
	var spare []byte
	for {
		batch, untold, more := q.next(spare, failing)
		if !more {
			return
		}
		torn, failing = q.write(batch, torn)
		if untold > 0 && !failing {
			// Told behind what waited before the first dropped line.
			var notice func(dropped int) []byte
			q.locked(func() { notice = q.notice })
			if _, err := q.out.Write(notice(untold)); err != nil {
				failing = true
			} else {
				q.locked(func() { q.untold -= untold })
			}
		}
		spare = nil
		if cap(batch) <= maxChunk {
			spare = batch[:0]
		}
	}
}

// next waits for lines and takes all that are there, with how many to tell of
// behind them. A destination that fails is tried with lines only: what it
// missed is told once it takes them. more is false when the queue is closed and
// empty.
func (q *queue) next(spare []byte, failing bool) (batch []byte, untold int, more bool) {
	for {
		q.mu.Lock()
		batch, untold = q.waiting, q.untold
		closed := q.closed
		if len(batch) > 0 {
			q.waiting, q.writing = spare, len(batch)
		}
		q.mu.Unlock()
		switch {
		case len(batch) > 0 || untold > 0 && !failing:
			return batch, untold, true
		case closed:
			return nil, 0, false
		}
		<-q.wake
	}
}

// write writes the batch in pieces of whole lines. It reports whether the
// destination ends within a line, and whether the last piece failed.
func (q *queue) write(batch []byte, torn bool) (tornNow, failed bool) {
	for len(batch) > 0 {
		n := len(batch)
		if n > maxChunk {
			n = bytes.LastIndexByte(batch[:maxChunk], '\n') + 1
			if n == 0 { // one line that is longer
				n = bytes.IndexByte(batch, '\n') + 1
			}
		}
		torn, failed = q.writeChunk(batch[:n], torn)
		batch = batch[n:]
	}
	return torn, failed
}

func (q *queue) writeChunk(chunk []byte, torn bool) (tornNow, failed bool) {
	defer q.locked(func() { q.writing -= len(chunk) })
	if torn {
		// A full disk took a part of a line; what is left of it stands alone.
		if _, err := q.out.Write(newline); err != nil {
			q.locked(func() { q.dropped(bytes.Count(chunk, newline)) })
			return true, true
		}
	}
	n, err := q.out.Write(chunk)
	if err == nil {
		return false, false
	}
	q.locked(func() { q.dropped(bytes.Count(chunk[n:], newline)) })
	return n > 0 && chunk[n-1] != '\n', true
}

func (q *queue) locked(change func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	change()
}
