package routes

import (
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/mcpgateway/mcpgateway/internal/memory"
)

// maxKept is how much is kept of a request body that streams, so that the
// request can be sent again when an upstream has refused it unread. An HTTP/2
// server has by then got no more than the window that its streams begin with,
// 64 KiB at nginx and by default, and net/http reads a little ahead.
const maxKept = 128 << 10

// keptRead is how much is read from the client at a time while it is kept.
const keptRead = 16 << 10

// keptBody gives a request body that streams to several tries, one after the
// other: each reads it from the start. That ends with the answer, with more than
// maxKept bytes, or for want of memory; then nothing is kept any more.
type keptBody struct {
	source io.Reader

	mu      sync.Mutex
	changed sync.Cond // on mu
	// kept are the bytes that a try has not read yet, and while keeping also
	// those before.
	kept    []byte
	keeping bool
	lease   memory.Lease // while keeping
	reading bool         // from source
	err     error        // of source
	try     *bodyTry
}

func newKeptBody(source io.Reader, lease memory.Lease) *keptBody {
	b := &keptBody{source: source, keeping: true, lease: lease}
	b.changed.L = &b.mu
	return b
}

// errNotKept says that a body was too long for another try.
var errNotKept = errors.New("the body is longer than what is kept of it, or the answer has begun")

// again returns the body from the start, for a new try. The one before gets no
// more of it.
func (b *keptBody) again() (io.ReadCloser, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.keeping {
		return nil, errNotKept
	}
	b.try = &bodyTry{body: b}
	b.changed.Broadcast()
	return b.try, nil
}

// release ends the keeping: there will be no other try.
func (b *keptBody) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.letGo()
}

// letGo keeps only what the try has not read. Called with mu held.
func (b *keptBody) letGo() {
	if !b.keeping {
		return
	}
	b.keeping = false
	b.lease.Release()
	if b.try != nil {
		b.kept = b.kept[b.try.read:]
		b.try.read = 0
	}
	if len(b.kept) == 0 {
		b.kept = nil
	}
}

// read fetches one more piece, on a goroutine of its own: a try that is over
// must not wait for the client.
func (b *keptBody) read() {
	piece := make([]byte, keptRead)
	n, err := b.source.Read(piece)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading, b.err = false, err
	b.kept = append(b.kept, piece[:n]...)
	if b.keeping && (len(b.kept) > maxKept || b.lease.Grow(n) != nil) {
		b.letGo()
	}
	b.changed.Broadcast()
}

// bodyTry is the body in the hands of one try.
type bodyTry struct {
	body   *keptBody
	read   int // of kept
	closed bool
}

// Read implements io.Reader.
func (t *bodyTry) Read(p []byte) (int, error) {
	b := t.body
	b.mu.Lock()
	for {
		switch {
		case t.closed || b.try != t:
			b.mu.Unlock()
			return 0, http.ErrBodyReadAfterClose
		case t.read < len(b.kept):
			n := copy(p, b.kept[t.read:])
			t.read += n
			if !b.keeping && t.read == len(b.kept) {
				b.kept, t.read = nil, 0
			}
			b.mu.Unlock()
			return n, nil
		case b.err != nil:
			b.mu.Unlock()
			return 0, b.err
		case !b.keeping && !b.reading:
			// No other try will read it.
			b.mu.Unlock()
			return b.source.Read(p)
		case !b.reading:
			b.reading = true
			go b.read()
		}
		b.changed.Wait()
	}
}

// Close implements io.Closer.
func (t *bodyTry) Close() error {
	b := t.body
	b.mu.Lock()
	defer b.mu.Unlock()
	t.closed = true
	b.changed.Broadcast()
	return nil
}
