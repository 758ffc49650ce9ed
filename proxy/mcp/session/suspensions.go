package session

import (
	"sync"
	"time"

	"github.com/mcpgateway/mcpgateway/internal/memory"
)

// suspendedLimit bounds the calls that wait for the input of modern clients, those
// included whose server has meanwhile answered all the same.
const suspendedLimit = 1024

// suspendedShare bounds those of one principal.
const suspendedShare = suspendedLimit / 4

// suspensions are the calls that wait for a client's next request. The lock is
// taken after that of a suspended call.
type suspensions struct {
	memory *memory.Budget // to which the answers that wait are charged

	mu          sync.Mutex
	closed      bool
	byID        map[string]*suspended
	byPrincipal map[string]int // how many
}

func newSuspensions(budget *memory.Budget) *suspensions {
	return &suspensions{memory: budget, byID: map[string]*suspended{}, byPrincipal: map[string]int{}}
}

// add keeps a call. Where there is no room the one that was suspended longest is
// given up: one of the same principal, or where only the room for all has run
// out, an anonymous one. It reports false when there is none.
func (u *suspensions) add(k *suspended) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return false
	}
	if k.principal != anonymousKey && u.byPrincipal[k.principal] >= suspendedShare {
		u.giveUpLocked(k.principal)
	}
	if len(u.byID) >= suspendedLimit && !u.giveUpLocked(k.principal) && !u.giveUpLocked(anonymousKey) {
		return false
	}
	id := k.id // which the next request changes while the timer may be firing
	u.byID[id] = k
	u.byPrincipal[k.principal]++
	k.since = time.Now()
	k.timer = time.AfterFunc(k.c.route.Timeouts.ServerRequest, func() { u.take(id) })
	return true
}

// take returns a call, once.
func (u *suspensions) take(id string) *suspended {
	u.mu.Lock()
	defer u.mu.Unlock()
	k := u.byID[id]
	if k != nil {
		u.removeLocked(id, k)
	}
	return k
}

// charge charges the answer of a call for as long as it is suspended. It reports
// false where there is no memory for it.
func (u *suspensions) charge(k *suspended, bytes int) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.byID[k.id] != k {
		return true // nothing fetches it any more
	}
	if u.memory.Charge(memory.Answer, int64(bytes)) != nil {
		return false
	}
	k.charged = int64(bytes)
	return true
}

// close forgets all calls, and takes no more.
func (u *suspensions) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	for id, k := range u.byID {
		u.removeLocked(id, k)
	}
}

func (u *suspensions) removeLocked(id string, k *suspended) {
	k.timer.Stop()
	u.memory.Return(memory.Answer, k.charged)
	k.charged = 0
	delete(u.byID, id)
	if u.byPrincipal[k.principal]--; u.byPrincipal[k.principal] == 0 {
		delete(u.byPrincipal, k.principal)
	}
}

// giveUpLocked cancels the principal's call that was suspended longest.
func (u *suspensions) giveUpLocked(principal string) bool {
	if u.byPrincipal[principal] == 0 {
		return false
	}
	var oldest string
	for id, k := range u.byID {
		if k.principal == principal && (oldest == "" || k.since.Before(u.byID[oldest].since)) {
			oldest = id
		}
	}
	k := u.byID[oldest]
	u.removeLocked(oldest, k)
	k.c.cancel(ErrPending)
	return true
}
