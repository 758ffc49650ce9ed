package acme

import (
	"crypto/x509"
	"time"
)

// Trace is told what happens to certificates, to the account and to the storage.
// Its function is called from the manager's goroutines, one call at a time for a
// name.
type Trace struct {
	Event func(Event)
}

// Event is something that happened.
type Event struct {
	// Kind is one of those below.
	Kind string
	// Name is whom the certificate is for; empty where it is about the account or
	// the storage.
	Name string
	// Err is the reason of a failure.
	Err error
	// RetryIn is when a failed attempt is repeated.
	RetryIn time.Duration
	// Serving says that there is a certificate to serve, of whichever account.
	Serving bool
	// NotAfter is the end of that certificate.
	NotAfter time.Time
}

// The kinds of events.
const (
	EventLoaded    = "loaded"     // a stored certificate is served
	EventUnusable  = "unusable"   // a stored certificate cannot be
	EventObtained  = "obtained"   // the first certificate of a name came
	EventRenewed   = "renewed"    // another one came
	EventStored    = "stored"     // one that could not be stored when it came is now
	EventFailed    = "failed"     // an attempt failed, and will be repeated
	EventRevoked   = "revoked"    // the certificate is, and will be replaced
	EventNoStaple  = "no_staple"  // the OCSP responder gave no response
	EventNoRenewal = "no_renewal" // the authority gave no renewal information
	EventReleased  = "released"   // the name is no longer wanted

	EventRegistered   = "registered"   // the account can be used
	EventUnregistered = "unregistered" // it cannot, which will be tried again
	EventDamaged      = "damaged"      // what is stored of it, which another one replaces
	EventLock         = "lock"         // a lock was left behind
)

func (m *Manager) event(e Event) {
	if m.trace != nil && m.trace.Event != nil {
		m.trace.Event(e)
	}
}

// event tells what happened to a renewer's name.
func (k *renewer) event(kind string, err error) { k.tell(Event{Kind: kind, Err: err}) }

// tell completes an event by what is served.
func (k *renewer) tell(e Event) {
	e.Name = k.name
	if leaf := k.manager.served(k.name); leaf != nil {
		e.Serving, e.NotAfter = true, leaf.NotAfter
	}
	k.manager.event(e)
}

// served is the certificate of a name, nil when there is none.
func (m *Manager) served(name string) *x509.Certificate {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if e := m.entries[name]; e != nil && e.serves != nil {
		return e.serves.leaf()
	}
	return nil
}
