package clusters

import (
	"io"
	"net/http"
	"sync"
)

// retryBody gives a request to several tries. Its body can be sent again if it can
// be had again (GetBody), or if no reader has touched it.
type retryBody struct {
	req  *http.Request
	body *lazyBody // nil when there is no body, or it can be had again
	next io.ReadCloser
	used bool
}

func newRetryBody(req *http.Request) *retryBody {
	b := &retryBody{req: req}
	if req.Body != nil && req.Body != http.NoBody && req.GetBody == nil {
		b.body = &lazyBody{ReadCloser: req.Body}
	}
	return b
}

// request is the request for the next try.
func (b *retryBody) request() *http.Request {
	first := !b.used
	b.used = true
	switch {
	case b.body != nil:
		out := b.req.WithContext(b.req.Context())
		out.Body = b.body
		return out
	case first || b.next == nil:
		return b.req
	}
	out := b.req.WithContext(b.req.Context())
	out.Body, b.next = b.next, nil
	return out
}

// again prepares one more try, and reports whether there can be one.
func (b *retryBody) again() bool {
	switch {
	case b.body != nil:
		return b.body.untouched()
	case b.req.GetBody == nil:
		return true
	}
	if b.next != nil {
		return true
	}
	var err error
	b.next, err = b.req.GetBody()
	return err == nil
}

// giveUp closes the body of a request that no try has got.
func (b *retryBody) giveUp() {
	if !b.used && b.body == nil && b.req.Body != nil {
		b.req.Body.Close()
	}
	if b.body != nil {
		b.body.Close()
	}
}

// finish is called when there will be no more try.
func (b *retryBody) finish() {
	if b.next != nil {
		b.next.Close()
	}
	if b.body != nil {
		b.body.finish()
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
