package listeners

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// body is a request's body that gives up on a client that sends nothing of it
// for too long. There is no bound on the whole: streams may be long. Once the
// answer has begun there is none on silence either: that of one direction says
// nothing about a stream whose other one is alive.
type body struct {
	io.ReadCloser
	controller *http.ResponseController
	patience   time.Duration
	ended      atomic.Bool // by EOF or an error
	answering  atomic.Bool // the answer's header is out

	mu       sync.Mutex
	timer    *time.Timer // runs during a Read
	finished bool        // the handler has returned
}

func newBody(rc io.ReadCloser, controller *http.ResponseController, patience time.Duration) *body {
	return &body{ReadCloser: rc, controller: controller, patience: patience}
}

func (b *body) Read(p []byte) (int, error) {
	if !b.answering.Load() {
		defer b.arm().Stop()
	}
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.ended.Store(true)
	}
	return n, err
}

func (b *body) arm() *time.Timer {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.timer == nil {
		b.timer = time.AfterFunc(b.patience, b.stalled)
	} else {
		b.timer.Reset(b.patience)
	}
	return b.timer
}

// stalled fails the Read in progress with os.ErrDeadlineExceeded.
func (b *body) stalled() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.finished && !b.answering.Load() {
		_ = b.controller.SetReadDeadline(longAgo)
	}
}

// finish is called when the handler returns: on HTTP/1.1 the deadline is the
// connection's, and would hit the next request.
func (b *body) finish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.finished = true
	if b.timer != nil {
		b.timer.Stop()
	}
}
