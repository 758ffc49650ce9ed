package acme

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/mcpgateway/mcpgateway/internal/disk"
)

// Manager keeps the certificates of the process, over all generations.
type Manager struct {
	log     func() *zerolog.Logger
	trace   *Trace
	timing  timing
	pending *pending
	changes atomic.Uint64
	// disk is for storages that no account uses yet.
	disk *disk.Disk

	// committing serialises Commit, Release and Close.
	committing sync.Mutex
	closed     bool
	ending     sync.WaitGroup // accounts on their way out

	mu      sync.RWMutex
	account *account // nil: none
	entries map[string]*entry
}

// NewManager returns a manager of nothing. What certmagic does goes to whatever
// log returns at the time, for debugging; trace may be nil.
func NewManager(log func() *zerolog.Logger, trace *Trace) *Manager {
	return &Manager{log: log, trace: trace, timing: defaultTiming, pending: newPending(), entries: map[string]*entry{}, disk: disk.New(context.Background(), defaultTiming.load)}
}

// Prepare reports whether Commit of the same configuration will be able to keep
// what it obtains; the warning is what keeps it from that for now. It changes
// nothing, and has nothing to say about the storage in use, whose troubles are
// those of names: a reload may be for something else. A nil configuration is fine.
func (m *Manager) Prepare(cfg *Config) (warning string, err error) {
	if cfg == nil {
		return "", nil
	}
	m.mu.RLock()
	inUse := m.account != nil && m.account.storage.Path == cfg.storagePath()
	m.mu.RUnlock()
	if inUse {
		return "", nil
	}
	return tryStorageWithin(m.disk, cfg.storagePath())
}

// Commit makes names the ones that certificates are kept for, and challenges
// those that listeners can answer; cfg is nil when there is no account, and so
// no name. It cannot fail and waits for no network: what is stored serves when
// it returns, unless the storage takes more than a few seconds to answer; then
// it serves as soon as it is read. What is not stored is obtained behind it, and
// tried again for as long as it takes. What a former Commit said alike goes on undisturbed. A different
// account takes the names over; what the former one obtained is served until it
// has a certificate itself. Names that are not wanted any more serve on until
// Release.
func (m *Manager) Commit(cfg *Config, names []string, challenges []string) {
	m.committing.Lock()
	defer m.committing.Unlock()
	if !m.closed {
		m.commit(cfg, names, challenges)
	}
}

func (m *Manager) commit(cfg *Config, names []string, challenges []string) {
	former := m.account // only written under committing
	var next *account
	switch {
	case cfg == nil:
		names = nil
	case former != nil && former.definition == cfg.definition():
		next = former
	default:
		next = newAccount(cfg, newZap(m.log), m.pending, m.event)
	}
	if next != nil {
		next.setChallenges(slices.Clone(challenges))
	}
	if former != nil && former != next {
		former.cancel()
		m.ending.Go(former.end)
	}

	wanted := map[string]bool{}
	var started []*renewer
	for _, name := range names {
		name = strings.ToLower(name)
		if wanted[name] {
			continue
		}
		wanted[name] = true
		if e := m.entries[name]; e == nil || e.renewer == nil || e.renewer.account != next {
			k := newRenewer(m, next, name)
			next.renewers.Go(k.load)
			started = append(started, k)
		}
	}
	m.awaitLoads(started)

	m.mu.Lock()
	m.account = next
	for _, k := range started {
		m.takeOver(k)
	}
	for name, e := range m.entries {
		e.wanted = wanted[name]
	}
	m.mu.Unlock()

	if len(wanted) > 0 && !next.introduced {
		next.introduced = true
		// Where a certificate is missing, its order does that at once.
		if !slices.ContainsFunc(started, func(k *renewer) bool { return !k.late && k.own == nil }) {
			next.renewers.Go(func() { m.register(next) })
		}
	}
	for _, k := range started {
		next.renewers.Go(k.run)
	}
}

// awaitLoads waits until what is stored has been read, for a bounded time in all.
// Who is late serves it later.
func (m *Manager) awaitLoads(renewers []*renewer) {
	ctx, cancel := context.WithTimeout(context.Background(), m.timing.load)
	defer cancel()
	for _, k := range renewers {
		select {
		case <-k.loaded:
		case <-ctx.Done():
			select {
			case <-k.loaded: // as well
			default:
				k.late = true
			}
		}
	}
}

// Release ends what is done for names that the last Commit did not want. It
// comes when new handshakes do not ask for them any more. A handshake that has
// begun still may, and so may those of a server that drains: what such a name
// has serves on from memory while it is among inUse, and a while longer.
func (m *Manager) Release(inUse []string) {
	m.committing.Lock()
	defer m.committing.Unlock()
	used := map[string]bool{}
	for _, name := range inUse {
		used[strings.ToLower(name)] = true
	}
	var released []string
	now := time.Now()
	m.mu.Lock()
	for name, e := range m.entries {
		if e.wanted {
			continue
		}
		if e.renewer != nil {
			e.renewer.cancel()
			e.renewer = nil
			released = append(released, name)
		}
		switch {
		case used[name]:
			e.unused = time.Time{}
		case e.unused.IsZero():
			e.unused = now
		}
		if !e.unused.IsZero() && now.Sub(e.unused) >= m.timing.linger {
			delete(m.entries, name)
			m.changes.Add(1)
		}
	}
	m.mu.Unlock()
	for _, name := range released {
		m.event(Event{Kind: EventReleased, Name: name})
	}
}

// Close ends everything that the manager does, and waits for it. What is served
// from memory stays.
func (m *Manager) Close() {
	m.committing.Lock()
	defer m.committing.Unlock()
	if !m.closed && m.account != nil {
		m.account.cancel()
		m.account.end()
	}
	m.closed = true
	m.ending.Wait()
}
