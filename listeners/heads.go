package listeners

import (
	"sync"

	"github.com/mcpgateway/mcpgateway/internal/memory"
)

const (
	// headCost is how many bytes are kept for each one of a head that comes in
	// pieces: the framing keeps it, and net/http in buffers and in strings.
	headCost = 3
	// shortHead is how long a head may be, in bytes, that is not charged.
	shortHead = 2 << 10
)

// heads charges the heads of the requests of a connection of HTTP/1.1 beyond what
// the connection itself is charged: one that does not end, or of a request that
// lasts. A nil *heads charges nothing.
type heads struct {
	mu    sync.Mutex
	lease memory.Lease
	// whole is what of the lease is for heads that have ended.
	whole int64
	over  bool // the connection is
}

// grow charges n bytes more of a head before net/http has them. It reports false
// where there is no memory for them.
func (h *heads) grow(n int) bool {
	if h == nil {
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.over || h.lease.Grow(headCost*n) == nil
}

// end says that the head has ended; its request begins.
func (h *heads) end() {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.whole = h.lease.Held()
}

// served gives back what the heads of requests took that are through.
func (h *heads) served() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lease.Shrink(int(h.whole))
	h.whole = 0
}

// close gives everything back.
func (h *heads) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over = true
	h.lease.Release()
}
