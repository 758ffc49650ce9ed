package upstream

import (
	"cmp"
	"context"
	"math/rand/v2"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/mcp/sse"
)

// minRetry is the least time before a stream is opened again, whatever the server
// names.
const minRetry = 100 * time.Millisecond

// Pace says when attempts in a row that bring nothing follow one another.
type Pace struct {
	// First is the time before the first attempt. It doubles with each that
	// follows, up to Longest where Most does not bound them. A server that names a
	// time of its own replaces First.
	First, Longest time.Duration
	// Most is how many attempts there are, and Within the time that they may take,
	// from the first one on, which is always made; 0 has no bound. A stream that
	// answers no request is opened again without either bound.
	Most   int
	Within time.Duration
	// Spread makes each time up to a half shorter, at random, so that clients which a
	// server has lost at once do not come back at once.
	Spread bool
}

// maxResumes bounds the attempts in a row to resume an answer that bring nothing
// new.
const maxResumes = 5

// clusterPace is that of sessions with clusters.
func clusterPace() Pace {
	return Pace{First: time.Second, Longest: 30 * time.Second, Most: maxResumes}
}

// Unbounded returns p without an end.
func (p Pace) Unbounded() Pace {
	p.Most, p.Within = 0, 0
	return p
}

// Begun returns attempts in a row the first of which is made now, before Again.
func (p Pace) Begun() Attempts { return Attempts{Pace: p, since: time.Now()} }

// Attempts are attempts in a row. Those with no more than a Pace have not begun.
// They must not be used by several goroutines at once.
type Attempts struct {
	Pace
	named time.Duration // by the server; 0: it has named none
	n     int
	since time.Time // of the first; zero: there was none
}

// Again waits for the time of the next attempt. It reports false when there is
// none, or ctx ends first. wake, which may be nil, ends the waiting early.
func (a *Attempts) Again(ctx context.Context, wake <-chan struct{}) bool {
	if a.Most > 0 && a.n >= a.Most {
		return false
	}
	d := a.wait()
	next := time.Now().Add(d)
	if a.since.IsZero() {
		a.since = next
	}
	if a.Within > 0 && next.After(a.since.Add(a.Within)) {
		return false
	}
	a.n++
	return sleep(ctx, d, wake)
}

// wait returns the time before the next attempt.
func (a *Attempts) wait() time.Duration {
	least := cmp.Or(a.named, a.First)
	d := least
	for i := 0; i < a.n && (a.Most > 0 || d < a.Longest); i++ {
		d *= 2
	}
	if a.Most == 0 {
		d = max(least, min(d, a.Longest))
	}
	if a.Spread {
		d = max(a.named, d/2+rand.N(max(d/2, 1)))
	}
	return d
}

// Reset begins anew: the last attempt has brought something.
func (a *Attempts) Reset() { a.n, a.since = 0, time.Time{} }

// sleep waits, and reports false when ctx ended first. wake, which may be nil,
// ends the waiting early.
func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-ctx.Done():
		return false
	}
	return true
}

// position is where a stream is, and when it is asked for from there on.
type position struct {
	lastID   string // of an event; "": the stream cannot be resumed
	attempts Attempts
}

// passed notes that an event has come.
func (p *position) passed(event sse.Event) {
	p.attempts.Reset()
	if event.HasID {
		p.lastID = event.ID
	}
	if event.HasRetry {
		p.attempts.named = max(event.Retry, minRetry)
	}
}
