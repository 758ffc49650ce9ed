package proxy

import (
	"fmt"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/admin"
)

// warnings are the days before the end at which the log says so.
var warnAt = []int{30, 14, 7, 1}

// expiries remembers what the log has said about the end of certificates. It
// belongs to one goroutine.
type expiries map[string]int

// look calls warn for each certificate that came within a further threshold
// since it was last seen. What is no longer in use is forgotten.
func (e expiries) look(certs []admin.Certificate, warn func(admin.Certificate, string)) {
	seen := map[string]bool{}
	for _, c := range certs {
		if c.NotAfter.IsZero() {
			continue
		}
		key := fmt.Sprintf("%s|%s|%s|%d", c.Use, c.Subject, c.Serial, c.NotAfter.Unix())
		seen[key] = true
		threshold := -1
		for i, days := range warnAt {
			if time.Until(c.NotAfter) <= time.Duration(days)*24*time.Hour {
				threshold = i
			}
		}
		if time.Until(c.NotAfter) <= 0 {
			threshold = len(warnAt)
		}
		before, known := e[key]
		if !known {
			before = -1
		}
		e[key] = threshold
		switch {
		case threshold <= before:
		case threshold == len(warnAt):
			warn(c, "has expired")
		default:
			warn(c, fmt.Sprintf("expires within %d days", warnAt[threshold]))
		}
	}
	for key := range e {
		if !seen[key] {
			delete(e, key)
		}
	}
}

// lookEvery is how often the ends of certificates are looked at.
const lookEvery = time.Hour

// warnExpiries says in the log which certificates come to their end.
func (g *Gateway) warnExpiries(said expiries) {
	said.look(g.Status().Certs, func(c admin.Certificate, what string) {
		g.logs.Logger().Warn().Str("use", c.Use).Str("subject", c.Subject).Str("serial", c.Serial).
			Time("not_after", c.NotAfter).Int("days_left", c.DaysLeft).Msg("a certificate or revocation list " + what + "; replace it")
	})
}
