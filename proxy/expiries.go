package proxy

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// renewal says who replaces a certificate, by what there is to do when its end
// comes near all the same.
type renewal string

const (
	byHand  renewal = "replace it"
	byACME  renewal = "ACME should have renewed it by now; this log and mcpgateway status say why it has not"
	byAgent renewal = "the SPIFFE agent should have delivered another by now; look at its log"
)

const day = 24 * time.Hour

// warnAt are the days before the end at which the log says so.
var warnAt = []int{30, 14, 7, 1}

// thresholds are the spans before the end at which the log says so, the longest
// first; the last is the end itself. What is renewed by itself is so by the last
// third of its life: an operator does not want to hear of it before. What is
// renewed by hand, which a program may do, may wait longer: the last half of a
// life is for warnings. An identity may live for no more than an hour.
func (d *dated) thresholds() []time.Duration {
	all := []time.Duration{0}
	life := d.NotAfter.Sub(d.notBefore)
	share := life / 3
	if d.renewal == byHand {
		share = life / 2
	}
	for _, days := range warnAt {
		if t := time.Duration(days) * day; t < share || d.notBefore.IsZero() {
			all = append(all, t)
		}
	}
	if life > 0 && !d.notBefore.IsZero() && (d.renewal != byHand || len(all) == 1) {
		all = append(all, life/6)
	}
	slices.SortFunc(all, func(a, b time.Duration) int { return cmp.Compare(b, a) })
	return slices.Compact(all)
}

// expiries remembers what the log has said about the end of certificates. It
// belongs to one goroutine.
type expiries map[string]int

// lookEvery is how often the ends of certificates are looked at, at least: those
// by ACME change unseen.
const lookEvery = time.Hour

// look calls warn for each certificate that came within a further threshold
// since it was last seen. What is no longer in use is forgotten. It returns when
// to look next.
func (e expiries) look(certs []dated, warn func(dated, string)) (next time.Duration) {
	next = lookEvery
	seen := map[string]bool{}
	for _, c := range certs {
		if c.NotAfter.IsZero() || c.outlived {
			continue
		}
		key := fmt.Sprintf("%s|%s|%s|%d", c.Use, c.Subject, c.Serial, c.NotAfter.Unix())
		seen[key] = true
		left, all, reached := time.Until(c.NotAfter), c.thresholds(), -1
		for i, threshold := range all {
			if left <= threshold {
				reached = i
			} else {
				next = min(next, left-threshold)
			}
		}
		before, known := e[key]
		if !known {
			before = -1
		}
		e[key] = reached
		switch {
		case reached <= before:
		case all[reached] == 0:
			warn(c, "has expired")
		default:
			warn(c, "expires within "+span(all[reached]))
		}
	}
	for key := range e {
		if !seen[key] {
			delete(e, key)
		}
	}
	return max(next, time.Second)
}

// span is a time for people: in days where there are some.
func span(d time.Duration) string {
	d = d.Round(time.Second)
	if d%day == 0 || d > 2*day {
		return count(int((d+day-1)/day), "day")
	}
	return d.String()
}

// warnExpiries says in the log which certificates come to their end, and
// returns when to look again.
func (s *shared) warnExpiries(reported expiries) time.Duration {
	return reported.look(s.generations.newest().certificatesNow(s.acme), func(c dated, what string) {
		s.observer.Logs.Logger().Warn().Str("use", c.Use).Str("subject", c.Subject).Str("serial", c.Serial).
			Time("not_after", c.NotAfter).Int("days_left", c.DaysLeft).Msg("a certificate or revocation list " + what + "; " + string(c.renewal))
	})
}
