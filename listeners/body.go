package listeners

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/memory"
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
	refused    error       // why nothing of it is read
	unasked    atomic.Bool // the client waits for a 100 before it sends any of it

	reading  sync.Mutex // an upstream connection may still read when the handler has returned
	mu       sync.Mutex
	timer    *time.Timer // runs during a Read
	finished bool        // the handler has returned
	lease    memory.Lease
}

func newBody(rc io.ReadCloser, controller *http.ResponseController, patience time.Duration) *body {
	return &body{ReadCloser: rc, controller: controller, patience: patience}
}

// reserve charges what the client may send over HTTP/2 and HTTP/3 before any of
// it is read; over HTTP/1.1 the kernel keeps it. Where there is no room, reading
// fails.
func (b *body) reserve(budget *memory.Budget, r *http.Request) {
	if r.ProtoMajor < 2 {
		return
	}
	n := streamWindow
	if r.ContentLength >= 0 {
		n = int(min(r.ContentLength, streamWindow))
	}
	b.lease = budget.Lease(memory.Body)
	b.refused = b.lease.Reserve(n)
}

// Refused returns why nothing of the body can be read, or nil.
func (b *body) Refused() error { return b.refused }

func (b *body) Read(p []byte) (int, error) {
	if b.refused != nil {
		return 0, b.refused
	}
	b.reading.Lock()
	defer b.reading.Unlock()
	if b.unasked.Load() {
		b.unasked.Store(false)
	}
	if !b.answering.Load() {
		defer b.arm().Stop()
	}
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.ended.Store(true)
		b.mu.Lock()
		b.lease.Release()
		b.mu.Unlock()
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
	b.lease.Release()
	if b.timer != nil {
		b.timer.Stop()
	}
}
