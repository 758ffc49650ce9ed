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
	// ticketKeysKept bounds how long a stolen key can read recorded TLS 1.2
	// traffic, and a ticket resume: between one and two days.
	ticketKeysKept = 2
)

// ticketKeys are the session-ticket keys of one client-auth policy. They are
// ours, rather than crypto/tls's own, because configs from GetConfigForClient
// without explicit keys use those of their parent: a ticket of an open policy
// would then resume on a strict one. Rotation happens when a handshake finds
// that it is due, so that no goroutine is needed.
type ticketKeys struct {
	mu    sync.Mutex
	keys  [][32]byte // the first seals, all open
	born  time.Time  // of the first
	epoch uint64     // counts rotations
	// version is that of the identities at the last rotation.
	version uint64
}

// at returns the keys for a handshake at that time. The slice is not modified
// afterwards; the epoch changes when it does. Another version of the identities
// begins anew.
func (t *ticketKeys) at(now time.Time, version uint64) (epoch uint64, keys [][32]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if version != t.version {
		t.keys, t.version = nil, version
	}
	age := now.Sub(t.born)
	if len(t.keys) > 0 && age < ticketRotation {
		return t.epoch, t.keys
	}
	if age >= ticketKeysKept*ticketRotation {
		t.keys = nil
	}
	var key [32]byte
	rand.Read(key[:]) // never fails: it ends the process instead
	t.keys = slices.Insert(slices.Clone(t.keys), 0, key)
	t.keys = t.keys[:min(len(t.keys), ticketKeysKept)]
	t.born = now
	t.epoch++
	return t.epoch, t.keys
}
