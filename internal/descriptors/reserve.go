package descriptors

import (
	"errors"
	"syscall"
)

// ErrExhausted is why a connection is closed at once.
var ErrExhausted = errors.New("the process has nearly as many descriptors open as it may; raise its limit (LimitNOFILE= of the unit), or lower limits.max_connections")

// Reserve is what is kept of the descriptors that the process may open. A nil
// Reserve keeps none.
type Reserve struct{ clients, upstreams uintptr }

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

// New returns a Reserve of so many descriptors.
func New(limit uint64) *Reserve {
	if limit <= 2*least || limit > 1<<31 {
		return nil
	}
	kept := min(most, max(least, limit/share))
	return &Reserve{clients: uintptr(limit - kept), upstreams: uintptr(limit - kept/2)}
}

// Clients is how many descriptors are open at most when a connection of a client is
// let in; 0 is no bound.
func (r *Reserve) Clients() int {
	if r == nil {
		return 0
	}
	return int(r.clients)
}

// FitsClient reports whether a connection that a client has made leaves the reserve
// alone. One without a descriptor of its own does.
func (r *Reserve) FitsClient(conn any) bool { return r == nil || number(conn) < r.clients }

// FitsUpstream does so for a connection to an upstream: clients that were let in can
// have many made. Those of health checks need some of the reserve.
func (r *Reserve) FitsUpstream(conn any) bool { return r == nil || number(conn) < r.upstreams }

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
