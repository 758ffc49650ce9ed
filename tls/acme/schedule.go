package acme

import (
	"crypto/x509"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// timing is how long things wait; tests shorten it.
type timing struct {
	load       time.Duration // that a new configuration waits for what is stored
	check      time.Duration // between two looks at what other gateways stored
	retry      time.Duration // after the first failure
	noAnswer   time.Duration // at most, where the storage did not answer
	problem    time.Duration // after the first refusal
	longest    time.Duration // between two attempts, unless the authority says more
	rateLimit  time.Duration // after a rate limit that does not say how long
	attempt    time.Duration // for one issuance
	renewalGap time.Duration // before a certificate just obtained is renewed
	linger     time.Duration // that a name stays in memory when no client seems to ask for it any more
	floor      time.Duration // between two orders of a name, however short its certificates live
}

var defaultTiming = timing{
	load:       5 * time.Second,
	check:      10 * time.Minute,
	retry:      2 * time.Second,
	noAnswer:   30 * time.Second,
	problem:    5 * time.Second,
	longest:    time.Hour,
	rateLimit:  10 * time.Minute,
	attempt:    5 * time.Minute,
	renewalGap: time.Hour,
	linger:     time.Minute,
	floor:      5 * time.Second,
}

// longestFor is the longest wait between attempts for a certificate that lives so
// long: many attempts have to fit into what is left of it. Zero is none yet.
func (t timing) longestFor(lifetime time.Duration) time.Duration {
	if lifetime <= 0 {
		return t.longest
	}
	return min(t.longest, max(lifetime/20, t.retry))
}

// backoff is the wait after so many failures in a row, of which err is the
// last. Where no authority could be reached it grows gently; where the authority said
// no it grows steeply, since authorities count the orders that fail.
func (t timing) backoff(failures int, longest time.Duration, err error, retryAfter time.Time) time.Duration {
	wait, factor := t.retry, time.Duration(2)
	problem, answered := problemOf(err)
	if answered && problem.Status < 500 {
		wait, factor = t.problem, 6
	}
	for range failures - 1 {
		if wait *= factor; wait >= longest {
			break
		}
	}
	wait = min(wait, longest)
	if answered && (problem.Status == http.StatusTooManyRequests || problem.Type == acme.ProblemTypeRateLimited) {
		wait = max(wait, t.rateLimit)
	}
	// Up to a quarter more, so that many names, or many gateways, do not ask
	// in step.
	wait += rand.N(wait/4 + 1)
	if until := time.Until(retryAfter); until > wait {
		wait = until + rand.N(until/20+1)
	}
	return wait
}

// renewalTime is when to renew: the time drawn from the authority's window
// (RFC 9773), or with a third of the lifetime left. The last sixth is never
// waited for, whatever the authority suggests: attempts can fail.
func renewalTime(leaf *x509.Certificate, info *acme.RenewalInfo) time.Time {
	lifetime := leaf.NotAfter.Sub(leaf.NotBefore)
	if info != nil && info.HasWindow() && !info.SelectedTime.IsZero() {
		if latest := leaf.NotAfter.Add(-lifetime / 6); info.SelectedTime.After(latest) {
			return latest
		}
		return info.SelectedTime
	}
	return leaf.NotAfter.Add(-lifetime / 3)
}

// notBeyondADay is when an authority is asked again that wants to be left alone
// until then: not so late that a mass revocation, or the end of an outage, goes
// unnoticed.
func notBeyondADay(now, until time.Time) time.Time {
	if latest := now.Add(24 * time.Hour); until.After(latest) {
		return latest
	}
	return until
}

// gap is the time between two orders of a name. It follows from the lifetime, not
// from what seems to be left of it: the clock may be wrong.
func (t timing) gap(leaf *x509.Certificate) time.Duration {
	return max(min(t.renewalGap, leaf.NotAfter.Sub(leaf.NotBefore)/10), t.floor)
}

// afterIssuance puts a renewal off that would follow an issuance at once, for
// instance since the authority's window is always in the past: that would order
// certificates as fast as they come, by turns where gateways share a storage.
func (t timing) afterIssuance(due, issued time.Time, leaf *x509.Certificate) time.Time {
	if issued.IsZero() {
		return due
	}
	gap := t.gap(leaf)
	if issued.After(leaf.NotAfter) {
		gap = t.floor // the time is of a copy, such as a backup, and the need is urgent
	}
	if earliest := issued.Add(gap); due.Before(earliest) {
		return earliest
	}
	return due
}
