package tls

import (
	"crypto/rand"
	"slices"
	"sync"
	"time"
)

const (
	// ticketRotation is how long one key seals new session tickets.
	ticketRotation = 24 * time.Hour
	// ticketKeyLife is how long a key opens tickets. It bounds how long a
	// stolen one can read recorded TLS 1.2 traffic, and a ticket resume:
	// between one and two days.
	ticketKeyLife = 2 * ticketRotation
)

// ticketKeys are the session-ticket keys of one client-auth policy. They are
// ours, rather than crypto/tls's own, because configs from GetConfigForClient
// without explicit keys use those of their parent: a ticket of an open policy
// would then resume on a strict one. Rotation happens when a handshake finds
// that it is due, so that no goroutine is needed.
type ticketKeys struct {
	mu    sync.Mutex
	keys  [][32]byte // the first seals, all open
	born  []time.Time
	epoch uint64 // counts changes of keys
	// changes are those of the identities at the last rotation.
	changes uint64
}

// at returns the keys for a handshake at that time. The slice is not modified
// afterwards; the epoch changes when it does. After a change of the identities it
// begins anew.
func (t *ticketKeys) at(now time.Time, changes uint64) (epoch uint64, keys [][32]byte) {
	now = now.Round(0) // while a machine sleeps, only the wall clock goes on
	t.mu.Lock()
	defer t.mu.Unlock()
	alive := 0
	for alive < len(t.keys) && changes == t.changes && now.Sub(t.born[alive]) < ticketKeyLife {
		alive++
	}
	t.changes = changes
	due := alive == 0 || now.Sub(t.born[0]) >= ticketRotation
	if !due && alive == len(t.keys) {
		return t.epoch, t.keys
	}
	t.keys, t.born = slices.Clone(t.keys[:alive]), t.born[:alive]
	if due {
		var key [32]byte
		rand.Read(key[:]) // never fails: it ends the process instead
		t.keys, t.born = slices.Insert(t.keys, 0, key), slices.Insert(t.born, 0, now)
	}
	t.epoch++
	return t.epoch, t.keys
}
