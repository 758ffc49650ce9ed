package clusters

import (
	"io"
	"net/http"
	"sync"

	"github.com/mcpgateway/mcpgateway/clusters/transport"
)

// retryBody gives a request to several tries. Its body can be sent again if it can
// be had again (GetBody), or if no reader has touched it.
type retryBody struct {
	next  *http.Request
	lazy  *lazyBody // nil when there is no body, or it can be had again
	given bool      // a try has next, and closes its body
}

func newRetryBody(req *http.Request) retryBody {
	b := retryBody{next: req}
	if req.Body != nil && req.Body != http.NoBody && req.GetBody == nil {
		b.lazy = &lazyBody{ReadCloser: req.Body}
		b.next = req.WithContext(req.Context())
		b.next.Body = b.lazy
	}
	return b
}

// request is the request for the next try.
func (b *retryBody) request() *http.Request {
	b.given = true
	return b.next
}

// again prepares one more try, and reports whether there can be one.
func (b *retryBody) again() bool {
	if b.lazy != nil {
		return b.lazy.untouched()
	}
	next, err := transport.Repeat(b.next)
	if err == nil {
		b.next, b.given = next, false
	}
	return err == nil
}

// finish is called when there will be no more try.
func (b *retryBody) finish() {
	if !b.given && b.next.Body != nil {
		b.next.Body.Close()
	}
	if b.lazy != nil {
		b.lazy.finish()
	}
}

// lazyBody puts off Close while its bytes might still be needed: net/http closes
// the body also of a request that it could not connect for.
type lazyBody struct {
	io.ReadCloser
	mu     sync.Mutex
	read   bool
	closed bool // the transport asked for it
	over   bool
}

func (b *lazyBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	b.read = true
	b.mu.Unlock()
	return b.ReadCloser.Read(p)
}

func (b *lazyBody) Close() error {
	b.mu.Lock()
	b.closed = true
	now := b.read || b.over
	b.mu.Unlock()
	if now {
		return b.ReadCloser.Close()
	}
	return nil
}

func (b *lazyBody) untouched() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.read
}

func (b *lazyBody) finish() {
	b.mu.Lock()
	b.over = true
	now := b.closed && !b.read
	b.mu.Unlock()
	if now {
		b.ReadCloser.Close()
	}
}
