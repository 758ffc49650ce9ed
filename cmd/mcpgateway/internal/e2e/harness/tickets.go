package harness

import (
	cryptotls "crypto/tls"
	"sync"
	"testing"
	"time"
)

// TicketCache keeps the last ticket, whichever server sent it, and shows it to
// every server.
type TicketCache struct {
	mu    sync.Mutex
	state *cryptotls.ClientSessionState
	came  chan struct{}
}

// NewTicketCache makes an empty one.
func NewTicketCache() *TicketCache { return &TicketCache{came: make(chan struct{}, 100)} }

// Get returns the last ticket, for any key.
func (d *TicketCache) Get(string) (*cryptotls.ClientSessionState, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state, d.state != nil
}

// Put replaces the ticket.
func (d *TicketCache) Put(_ string, state *cryptotls.ClientSessionState) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state = state; state != nil {
		d.came <- struct{}{}
	}
}

// Await waits for a ticket, which a server sends when it likes.
func (d *TicketCache) Await(t testing.TB) {
	t.Helper()
	select {
	case <-d.came:
	case <-time.After(10 * time.Second):
		t.Fatal("no ticket came")
	}
}
