package listeners

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// body is a request's body that gives up on a client that sends nothing of it
// for too long. There is no bound on the whole: streams may be long.
type body struct {
	io.ReadCloser
	controller *http.ResponseController
	patience   time.Duration
	ended      atomic.Bool // by EOF or an error

	mu       sync.Mutex
	timer    *time.Timer // runs during a Read
	finished bool        // the handler has returned
}

func newBody(rc io.ReadCloser, controller *http.ResponseController, patience time.Duration) *body {
	return &body{ReadCloser: rc, controller: controller, patience: patience}
}

func (b *body) Read(p []byte) (int, error) {
	b.arm()
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	if err != nil {
		b.ended.Store(true)
	}
	return n, err
}

func (b *body) arm() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.timer == nil {
		b.timer = time.AfterFunc(b.patience, b.stalled)
		return
	}
	b.timer.Reset(b.patience)
}

// stalled fails the Read in progress with os.ErrDeadlineExceeded.
func (b *body) stalled() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.finished {
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
