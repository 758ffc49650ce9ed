package clusters

import (
	"io"
	"net/http"
	"sync"
)

// replay gives a request to several tries. Its body can be sent again if it can
// be had again (GetBody), or if no reader has touched it.
type replay struct {
	req  *http.Request
	body *lazyBody // nil when there is no body, or it can be had again
	next io.ReadCloser
	used bool
}

func newReplay(req *http.Request) *replay {
	p := &replay{req: req}
	if req.Body != nil && req.Body != http.NoBody && req.GetBody == nil {
		p.body = &lazyBody{ReadCloser: req.Body}
	}
	return p
}

// request is the request for the next try.
func (p *replay) request() *http.Request {
	first := !p.used
	p.used = true
	switch {
	case p.body != nil:
		out := p.req.WithContext(p.req.Context())
		out.Body = p.body
		return out
	case first || p.next == nil:
		return p.req
	}
	out := p.req.WithContext(p.req.Context())
	out.Body, p.next = p.next, nil
	return out
}

// again prepares one more try, and reports whether there can be one.
func (p *replay) again() bool {
	switch {
	case p.body != nil:
		return p.body.untouched()
	case p.req.GetBody == nil:
		return true
	}
	if p.next != nil {
		return true
	}
	var err error
	p.next, err = p.req.GetBody()
	return err == nil
}

// giveUp closes the body of a request that no try has got.
func (p *replay) giveUp() {
	if !p.used && p.body == nil && p.req.Body != nil {
		p.req.Body.Close()
	}
	if p.body != nil {
		p.body.Close()
	}
}

// settle is called when there will be no more try.
func (p *replay) settle() {
	if p.next != nil {
		p.next.Close()
	}
	if p.body != nil {
		p.body.settle()
	}
}

// lazyBody puts off Close while its bytes might still be needed: net/http closes
// the body also of a request that it could not connect for.
type lazyBody struct {
	io.ReadCloser
	mu      sync.Mutex
	read    bool
	closed  bool // the transport asked for it
	settled bool
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
	now := b.read || b.settled
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

func (b *lazyBody) settle() {
	b.mu.Lock()
	b.settled = true
	now := b.closed && !b.read
	b.mu.Unlock()
	if now {
		b.ReadCloser.Close()
	}
}
