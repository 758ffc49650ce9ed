package acme

import (
	"cmp"
	cryptotls "crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// entry is a name that is wanted, or was a moment ago. Its fields are guarded by
// Manager.mu.
type entry struct {
	name    string
	wanted  bool
	unused  time.Time // since when no client can ask for it; zero: one can
	renewer *renewer  // nil: released
	serves  *held     // maybe from a former account; nil: none yet
	err     error     // of the last attempt; nil: it succeeded
	next    time.Time
}

// Status is what is known about a name.
type Status struct {
	Name string
	// Leaf is the certificate that is served, nil when there is none.
	Leaf *x509.Certificate
	// LastError is why the last attempt failed, or why the next one will; nil
	// where all is well.
	LastError error
	// NextTry is when the next attempt is due, to obtain the certificate or to
	// renew it; zero while one is under way.
	NextTry time.Time
}

var errUnderWay = errors.New("the first attempt is under way")

// Certificate returns the certificate of a name, with its OCSP staple, from
// memory. The error says that there is none yet, and why. The name is the one
// given to Commit.
func (m *Manager) Certificate(name string) (*cryptotls.Certificate, error) {
	name = strings.ToLower(name)
	m.mu.RLock()
	defer m.mu.RUnlock()
	e := m.entries[name]
	switch {
	case e == nil:
		return nil, fmt.Errorf("no certificate is kept for %s", name)
	case e.serves != nil:
		return e.serves.tls, nil
	case e.err != nil:
		return nil, fmt.Errorf("the certificate of %s is not obtained yet: %w", name, e.err)
	}
	return nil, fmt.Errorf("the certificate of %s is not obtained yet: %w", name, errUnderWay)
}

// Changes counts the certificates served that changed, came or went.
func (m *Manager) Changes() uint64 { return m.changes.Load() }

// Status lists the names that are wanted, in order.
func (m *Manager) Status() []Status {
	m.mu.RLock()
	defer m.mu.RUnlock()
	list := make([]Status, 0, len(m.entries))
	for _, e := range m.entries {
		if !e.wanted {
			continue
		}
		s := Status{Name: e.name, LastError: e.err, NextTry: e.next}
		if e.serves != nil {
			s.Leaf = e.serves.leaf()
		}
		if s.LastError == nil {
			s.LastError = m.account.err
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b Status) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// takeOver gives a name to a renewer, under m.mu. What a former account obtained
// is served on, and again after a restart, where the new one has stored nothing
// that is in date.
func (m *Manager) takeOver(k *renewer) {
	e := m.entries[k.name]
	if e == nil {
		e = &entry{name: k.name}
		m.entries[k.name] = e
	} else if e.renewer != nil {
		e.renewer.cancel()
	}
	e.renewer, e.err, e.next, e.unused = k, nil, time.Time{}, time.Time{}
	if !k.late {
		m.serveStored(e, k)
	}
}

// serveStored serves what a renewer has read, under m.mu.
func (m *Manager) serveStored(e *entry, k *renewer) {
	switch {
	case k.own != nil && !k.own.expired():
		m.serve(e, k.own)
	case k.former != nil && (e.serves == nil || e.serves.expired()):
		m.serve(e, k.former)
	case k.own != nil && e.serves == nil:
		m.serve(e, k.own)
	}
}

// serve makes a certificate the one of a name, under m.mu.
func (m *Manager) serve(e *entry, h *held) {
	changed := e.serves == nil || e.serves.tls != h.tls
	e.serves = h
	if changed {
		m.changes.Add(1)
	}
}

// update changes the entry of a renewer, unless it was taken over.
func (m *Manager) update(k *renewer, change func(*entry)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.entries[k.name]; e != nil && e.renewer == k {
		change(e)
	}
}
