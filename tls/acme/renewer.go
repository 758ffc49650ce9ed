package acme

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"github.com/mcpgateway/mcpgateway/internal/disk"
	"github.com/mcpgateway/mcpgateway/tls/acme/lock"
)

// renewer obtains and renews the certificate of one name, in one goroutine.
type renewer struct {
	manager *Manager
	account *account
	name    string
	ctx     context.Context
	cancel  context.CancelFunc

	loaded chan struct{} // closed when the storage was read
	late   bool          // loaded after the name was taken over

	former   *held     // what another authority had issued before this process began; nil: nothing
	own      *held     // what the account has obtained, nil: nothing usable
	unsaved  *issuance // own, where it could not be stored yet; nil: it is
	ordered  time.Time // when this process obtained one last, zero: never
	failures int       // in a row
	askAgain time.Time // for renewal information
	stapleAt time.Time // when a staple that did not come is asked for again
}

func newRenewer(m *Manager, a *account, name string) *renewer {
	k := &renewer{manager: m, account: a, name: name, loaded: make(chan struct{})}
	k.ctx, k.cancel = context.WithCancel(a.ctx)
	return k
}

// load reads what is stored, so that it serves at once.
func (k *renewer) load() {
	defer close(k.loaded)
	a, name := k.account, k.name
	h, err := a.load(k.ctx, name)
	switch {
	case err == nil:
		k.own = h
	case !missing(err):
		k.event(EventUnusable, err)
	}
	if k.own == nil || k.own.expired() {
		k.former = a.loadFormer(k.ctx, name)
	}
}

func (k *renewer) run() {
	defer k.cancel()
	<-k.loaded // each read is bounded
	if k.late {
		k.manager.update(k, func(e *entry) { k.manager.serveStored(e, k) })
	}
	if k.own != nil || k.former != nil {
		k.event(EventLoaded, nil)
	}
	for k.ctx.Err() == nil {
		sleep(k.ctx, k.step())
	}
}

// sleep returns after d, or when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	<-ctx.Done()
}

// step does what is due, and returns how long nothing is.
func (k *renewer) step() time.Duration {
	if k.own == nil || !time.Now().Before(k.due()) {
		if err := k.renew(); err != nil {
			return k.failed(err)
		}
	} else {
		k.reload()
	}
	k.refreshStaple()
	k.refreshRenewalInfo()
	if err := k.saveAgain(); err != nil {
		return k.failed(err)
	}
	k.failures = 0
	due := k.due()
	k.manager.update(k, func(e *entry) { e.err, e.next = nil, due })
	// Never zero: a clock that jumps must not make a busy loop.
	return max(min(time.Until(due), k.manager.timing.check), 100*time.Millisecond)
}

// due is when the certificate is to be renewed.
func (k *renewer) due() time.Time {
	due := renewalTime(k.own.leaf(), k.own.renewal)
	if k.own.staple.revoked() {
		due = time.Time{}
	}
	last := k.own.issued
	if k.ordered.After(last) { // what the files say may be wrong
		last = k.ordered
	}
	return k.manager.timing.afterIssuance(due, last, k.own.leaf())
}

func (k *renewer) failed(err error) time.Duration {
	if k.ctx.Err() != nil {
		return 0 // it was told to end
	}
	if _, held := errors.AsType[*lock.HeldError](err); !held { // that was a wait already
		k.failures++
	}
	var lifetime time.Duration
	if k.own != nil {
		lifetime = k.own.leaf().NotAfter.Sub(k.own.leaf().NotBefore)
	}
	timing := k.manager.timing
	wait := timing.backoff(k.failures, timing.longestFor(lifetime), err, retryAfterOf(err))
	if errors.Is(err, disk.ErrNoAnswer) { // it costs no authority anything to look again
		wait = min(wait, timing.noAnswer)
	}
	err = brief(err)
	k.manager.update(k, func(e *entry) { e.err, e.next = err, time.Now().Add(wait) })
	k.tell(Event{Kind: EventFailed, Err: err, RetryIn: wait})
	return wait
}

// renew obtains a certificate, unless another gateway has.
func (k *renewer) renew() error {
	a := k.account
	k.manager.update(k, func(e *entry) { e.next = time.Time{} })
	locked, err := k.lock()
	if err != nil {
		return err
	}
	defer locked.Release()
	a.dropChallenges(k.ctx, k.name)

	stored, err := a.load(k.ctx, k.name)
	if err == nil && !stored.same(k.own) && !stored.expired() && (k.unsaved == nil || stored.outlasts(k.own)) {
		k.unsaved = nil
		k.adopt(stored)
		k.event(EventLoaded, nil)
		if time.Now().Before(k.due()) {
			return nil
		}
	}
	if _, unread := errors.AsType[*fs.PathError](err); unread && !missing(err) {
		return fmt.Errorf("nothing is ordered, since what is stored cannot be read: %w", err)
	}
	at := &attempt{}
	if k.own != nil && k.failures == 0 {
		// An authority that does not know the predecessor refuses the order, so
		// only the first attempt names it.
		at.replaces = k.own.leaf()
	}
	// After the lock: a name that another gateway takes care of keeps none from
	// its turn.
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-locked.Context().Done():
		return context.Cause(locked.Context())
	}
	ctx, cancel := context.WithTimeout(context.WithValue(locked.Context(), attemptKey{}, at), k.manager.timing.attempt)
	defer cancel()
	event := EventRenewed
	if missing(err) {
		event = EventObtained
	}
	if err := a.probe(k.name); err != nil {
		return fmt.Errorf("nothing is ordered, since the certificate could not be stored: %w", err)
	}
	got, err := a.obtain(ctx, k.name)
	if err != nil && locked.Context().Err() != nil {
		err = context.Cause(locked.Context())
	}
	if err != nil {
		return at.limit(err)
	}
	k.ordered = time.Now()
	stored = got.held
	stored.issued = k.ordered
	var expired error
	if stored.expired() {
		expired = &limitedError{errExpiredOnArrival(stored.leaf()), k.ordered.Add(k.manager.timing.gap(stored.leaf()))}
		if leaf := k.manager.served(k.name); leaf != nil && time.Now().Before(leaf.NotAfter) {
			return expired
		}
		// Better than nothing: others may know better what time it is.
	}
	k.unsaved = nil
	if a.save(k.name, got) != nil {
		k.unsaved = got // saveAgain says why
	}
	k.adopt(stored)
	if expired != nil {
		return expired
	}
	k.event(event, nil)
	return nil
}

// errExpiredOnArrival is about a certificate that had expired when it came.
func errExpiredOnArrival(leaf *x509.Certificate) error {
	return fmt.Errorf("the certificate that the authority issued expired at %s, before it came; is this machine's clock right?", leaf.NotAfter.Format(time.RFC3339))
}

// lock keeps other gateways from ordering or storing a certificate of the name.
func (k *renewer) lock() (*lock.Lock, error) {
	locked, err := k.account.locks.Acquire(k.ctx, k.account.lockKey(k.name), k.name)
	if err != nil {
		return nil, fmt.Errorf("lock the certificate of %s in acme.storage %s: %w", k.name, k.account.storage.Path, err)
	}
	return locked, nil
}

// adopt serves what the account has now.
func (k *renewer) adopt(h *held) {
	if !h.same(k.own) {
		k.askAgain, k.stapleAt = time.Time{}, time.Time{}
		if k.own != nil {
			_ = k.account.storage.Delete(k.ctx, k.account.stapleKey(k.name, k.own.tls)) // there may be none
		}
	}
	k.own = h
	k.manager.update(k, func(e *entry) {
		e.err = nil
		k.manager.serve(e, h)
	})
}

// reload takes over what another gateway has stored meanwhile. A certificate
// that cannot be read is being written.
func (k *renewer) reload() {
	stored, err := k.account.load(k.ctx, k.name)
	if err == nil && !stored.same(k.own) && stored.outlasts(k.own) {
		k.unsaved = nil
		k.adopt(stored)
		k.event(EventLoaded, nil)
	}
}

// refreshRenewalInfo asks the authority again when it wants to be asked. The
// time drawn from a window stays while the window does.
func (k *renewer) refreshRenewalInfo() {
	now := time.Now()
	known := k.own.renewal
	if k.askAgain.IsZero() && known != nil && known.RetryAfter != nil {
		k.askAgain = *known.RetryAfter
	}
	if now.Before(k.askAgain) {
		return
	}
	info, err := k.account.renewalInfo(k.ctx, k.own.leaf())
	switch {
	case errors.Is(err, acme.ErrUnsupported):
		k.askAgain = now.Add(24 * time.Hour)
		return
	case err != nil:
		k.askAgain = now.Add(time.Hour)
		k.event(EventNoRenewal, brief(err))
		return
	}
	if known != nil && known.SameWindow(*info) && !known.SelectedTime.IsZero() {
		info.SelectedTime = known.SelectedTime
	}
	k.askAgain = now.Add(6 * time.Hour)
	if info.RetryAfter != nil {
		// Not more often than the authority wants, and not so seldom that a
		// mass revocation goes unnoticed.
		k.askAgain = now.Add(min(max(info.RetryAfter.Sub(now), time.Minute), 24*time.Hour))
	}
	h := *k.own
	h.renewal = info
	k.adopt(&h)
}

// refreshStaple fetches an OCSP response before the one at hand runs out.
func (k *renewer) refreshStaple() {
	now := time.Now()
	if !k.own.hasResponder() || k.own.staple.fresh() || now.Before(k.stapleAt) {
		return
	}
	k.stapleAt = now.Add(time.Hour)
	s, err := k.account.fetchStaple(k.ctx, k.name, k.own.tls)
	if err != nil {
		k.event(EventNoStaple, brief(err))
		if k.own.staple.usable() || k.own.tls.OCSPStaple == nil {
			return
		}
		s = staple{} // clients refuse one that has run out
	}
	if s.revoked() {
		k.event(EventRevoked, nil)
	}
	k.adopt(k.own.stapled(s))
}
