package listeners

import (
	"net/http"
	"sync"

	"github.com/mcpgateway/mcpgateway/internal/memory"
)

const (
	// requestCost is what a request in progress takes besides its header and its
	// body, in bytes: stacks, and the buffers of the connections to the client and
	// to the upstream.
	requestCost = 32 << 10
	// unnoticedHeader is how long a header may be without being charged, in bytes.
	unnoticedHeader = 8 << 10
)

// crowd charges the requests in progress on one connection. The first one of
// each is part of what the connection costs, so that a client with one request
// is served while another fills the memory with hundreds.
type crowd struct {
	mu       sync.Mutex
	requests int
	lease    memory.Lease
}

// enter charges a request, until leave is called with what it takes. The error
// is memory.ErrExhausted.
func (c *crowd) enter(budget *memory.Budget, r *http.Request) (bytes int, err error) {
	bytes = headerBytes(r)
	if bytes < unnoticedHeader {
		bytes = 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.requests == 0 {
		c.lease = budget.Lease(memory.Body)
	} else {
		bytes += requestCost
	}
	if bytes > 0 {
		if err := c.lease.Grow(bytes); err != nil {
			return 0, err
		}
	}
	c.requests++
	return bytes, nil
}

// leave gives back what enter has charged.
func (c *crowd) leave(bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.requests--; bytes > 0 {
		c.lease.Shrink(bytes)
	}
}

// headerBytes is about what the header of a request takes. Over HTTP/2 and 3 a
// client may have a hundred of them on one connection.
func headerBytes(r *http.Request) int {
	n := len(r.RequestURI) + len(r.Host)
	for name, values := range r.Header {
		for _, value := range values {
			n += len(name) + len(value)
		}
	}
	return n
}
