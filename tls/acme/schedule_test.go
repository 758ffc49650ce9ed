package acme

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

func TestRetriesBeginWithinSecondsAndBackOff(t *testing.T) {
	down := errors.New("connection refused")
	refused := fmt.Errorf("wrapped: %w", acme.Problem{Type: acme.ProblemTypeUnauthorized, Status: http.StatusForbidden})
	atTheEnd := fmt.Errorf("final order is invalid: %w", &acme.Problem{Type: acme.ProblemTypeCAA, Status: http.StatusForbidden})
	limited := acme.Problem{Type: acme.ProblemTypeRateLimited, Status: http.StatusTooManyRequests}
	later := time.Now().Add(3 * time.Hour)
	for _, c := range []struct {
		what       string
		failures   int
		err        error
		retryAfter time.Time
		low, high  time.Duration
	}{
		{"first, no authority there", 1, down, time.Time{}, 2 * time.Second, 3 * time.Second},
		{"second, no authority there", 2, down, time.Time{}, 4 * time.Second, 5 * time.Second},
		{"hundredth, no authority there", 100, down, time.Time{}, time.Hour, 75 * time.Minute},
		{"first refusal", 1, refused, time.Time{}, 5 * time.Second, 7 * time.Second},
		{"third refusal", 3, refused, time.Time{}, 3 * time.Minute, 4 * time.Minute},
		{"third refusal, of a finalised order", 3, atTheEnd, time.Time{}, 3 * time.Minute, 4 * time.Minute},
		{"rate limit", 1, limited, time.Time{}, 10 * time.Minute, 13 * time.Minute},
		{"rate limit that says how long", 1, limited, later, 3*time.Hour - time.Minute, 4 * time.Hour},
		{"overloaded, says how long", 1, down, later, 3*time.Hour - time.Minute, 4 * time.Hour},
	} {
		if got := defaultTiming.backoff(c.failures, time.Hour, c.err, c.retryAfter); got < c.low || got > c.high {
			t.Errorf("%s: wait %v, not between %v and %v", c.what, got, c.low, c.high)
		}
	}
}

func TestManyAttemptsFitIntoAShortLife(t *testing.T) {
	for lifetime, want := range map[time.Duration]time.Duration{
		0: time.Hour, time.Minute: 3 * time.Second, time.Second: 2 * time.Second,
		time.Hour: 3 * time.Minute, 90 * 24 * time.Hour: time.Hour,
	} {
		if got := defaultTiming.longestFor(lifetime); got != want {
			t.Errorf("lifetime %v: attempts up to %v apart, not %v", lifetime, got, want)
		}
	}
}

func TestRenewalTimeFollowsTheAuthorityButNotIntoDanger(t *testing.T) {
	start := time.Now()
	leaf := &x509.Certificate{NotBefore: start, NotAfter: start.Add(60 * time.Hour)}
	window := func(selected time.Duration) *acme.RenewalInfo {
		info := &acme.RenewalInfo{SelectedTime: start.Add(selected)}
		info.SuggestedWindow.Start, info.SuggestedWindow.End = start.Add(selected-time.Hour), start.Add(selected+time.Hour)
		return info
	}
	for _, c := range []struct {
		what string
		info *acme.RenewalInfo
		want time.Duration
	}{
		{"no information", nil, 40 * time.Hour},
		{"empty information", &acme.RenewalInfo{}, 40 * time.Hour},
		{"a window", window(20 * time.Hour), 20 * time.Hour},
		{"at once", window(-time.Hour), -time.Hour},
		{"too late", window(59 * time.Hour), 50 * time.Hour},
	} {
		if got := renewalTime(leaf, c.info); !got.Equal(start.Add(c.want)) {
			t.Errorf("%s: renewal after %v, not %v", c.what, got.Sub(start), c.want)
		}
	}
	if got := defaultTiming.afterIssuance(start.Add(-time.Hour), start, leaf); !got.Equal(start.Add(time.Hour)) {
		t.Errorf("a certificate just obtained is renewed after %v", got.Sub(start))
	}
	if got := defaultTiming.afterIssuance(start.Add(-time.Hour), time.Time{}, leaf); !got.Equal(start.Add(-time.Hour)) {
		t.Errorf("one of an unknown age is renewed after %v", got.Sub(start))
	}
	// A clock that is almost a lifetime ahead sees the end at once.
	ahead := start.Add(60*time.Hour - time.Minute)
	if got := defaultTiming.afterIssuance(start.Add(40*time.Hour), ahead, leaf); !got.Equal(ahead.Add(time.Hour)) {
		t.Errorf("by a clock that is ahead the renewal comes after %v", got.Sub(ahead))
	}
	// A storage that was copied back holds what expired long ago.
	if got := defaultTiming.afterIssuance(start.Add(40*time.Hour), start.Add(90*time.Hour), leaf); got.After(start.Add(90*time.Hour + 10*time.Second)) {
		t.Errorf("one that expired before it was copied waits until %v after that", got.Sub(start.Add(90*time.Hour)))
	}
	brief := &x509.Certificate{NotBefore: start, NotAfter: start}
	if got := defaultTiming.afterIssuance(start, start, brief); got.Before(start.Add(5 * time.Second)) {
		t.Errorf("one that never lived is ordered anew after %v", got.Sub(start))
	}
}

func TestRetryAfterIsReadAndBounded(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"120": 2 * time.Minute, "99999999": 24 * time.Hour,
		time.Now().Add(time.Hour).UTC().Format(http.TimeFormat): time.Hour,
	} {
		at, ok := parseRetryAfter(header)
		if off := time.Until(at) - want; !ok || off < -5*time.Second || off > 5*time.Second {
			t.Errorf("%q: %v, %v", header, at, ok)
		}
	}
	for _, header := range []string{"", "-1", "soon"} {
		if at, ok := parseRetryAfter(header); ok {
			t.Errorf("%q is read as %v", header, at)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, header := range []string{"120", "-1", "9223372036854775807", "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT"} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		before := time.Now()
		at, ok := parseRetryAfter(header)
		if latest := time.Now().Add(24 * time.Hour); at.After(latest) {
			t.Errorf("%q puts an attempt off until %v", header, at)
		}
		if !ok && !at.IsZero() {
			t.Errorf("%q is not read, and is %v", header, at)
		}
		if _, err := strconv.ParseUint(header, 10, 31); err == nil && (!ok || at.Before(before)) {
			t.Errorf("%q seconds are %v", header, at)
		}
	})
}
