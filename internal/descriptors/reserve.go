package descriptors

import (
	"errors"
	"sync/atomic"
	"syscall"
)

// ErrExhausted is why a connection is closed at once.
var ErrExhausted = errors.New("the process has nearly as many descriptors open as it may; raise its limit (LimitNOFILE= of the unit), or lower limits.max_connections")

// Reserve divides the descriptors that the process may open, so that neither
// clients nor what they have opened to upstreams takes those of the other, and
// that some are left for all else. A nil Reserve bounds nothing. It is safe for
// concurrent use.
type Reserve struct {
	most int64 // connections of clients
	open atomic.Int64
	// Below these a new descriptor has to be.
	clients, upstreams, checks uintptr
}

const (
	// share is the part of all descriptors, as its divisor, that is kept, within
	// bounds.
	share       = 16
	least, most = 32, 512
)

// System returns a Reserve of what this process may open; nil where there is no
// bound, or so low a one that nothing would be left.
func System() *Reserve {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return nil
	}
	return New(limit.Cur)
}

// New returns a Reserve of so many descriptors. Clients may have half of them;
// connections to upstreams end at three quarters, above which clients and health
// checks find room.
func New(limit uint64) *Reserve {
	if limit <= 2*least || limit > 1<<31 {
		return nil
	}
	kept := min(most, max(least, limit/share))
	return &Reserve{
		most:      int64(limit / 2),
		clients:   uintptr(limit - kept),
		upstreams: uintptr(limit - max(kept, limit/4)),
		checks:    uintptr(limit - kept/2),
	}
}

// Clients is how many connections clients may have; 0 is no bound.
func (r *Reserve) Clients() int {
	if r == nil {
		return 0
	}
	return int(r.most)
}

// Enter counts a connection of a client until Leave, and reports true. It reports
// false, and counts nothing, where the connection has taken a descriptor of the
// reserve.
func (r *Reserve) Enter(conn any) bool {
	if r == nil {
		return true
	}
	if r.open.Add(1) > r.most || number(conn) >= r.clients {
		r.open.Add(-1)
		return false
	}
	return true
}

// Leave is called when a connection that was counted has ended.
func (r *Reserve) Leave() {
	if r != nil {
		r.open.Add(-1)
	}
}

// FitsUpstream reports whether a connection to an upstream leaves the reserve alone.
// One client can make the gateway open many. Those of health checks may use some of
// the reserve, since without them no endpoint would be healthy.
func (r *Reserve) FitsUpstream(conn any, check bool) bool {
	switch {
	case r == nil:
		return true
	case check:
		return number(conn) < r.checks
	default:
		return number(conn) < r.upstreams
	}
}

// number is the descriptor of a connection; 0 where it has none.
func number(conn any) (n uintptr) {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := c.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { n = fd })
	}
	if err != nil {
		return 0 // it is closed
	}
	return n
}
