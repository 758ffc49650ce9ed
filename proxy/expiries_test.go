package proxy

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/admin"
)

func TestTheLogTellsTheEndOfACertificateAtEachThresholdOnce(t *testing.T) {
	synctest.Test(t, func(*testing.T) {
		const day = 24 * time.Hour
		began := time.Now()
		certs := []admin.Certificate{
			{Use: "listener public", Subject: "a", NotAfter: began.Add(40 * day)},
			{Use: "acme", Subject: "not there yet"},
		}
		var said []string
		warn := func(c admin.Certificate, what string) {
			said = append(said, fmt.Sprintf("day %d: %s %s", int(time.Since(began)/day), c.Subject, what))
		}
		e := expiries{}
		for range 42 {
			e.look(certs, warn)
			time.Sleep(day)
		}
		want := []string{"day 10: a expires within 30 days", "day 26: a expires within 14 days", "day 33: a expires within 7 days", "day 39: a expires within 1 days", "day 40: a has expired"}
		if !slices.Equal(said, want) {
			t.Errorf("said %q", said)
		}

		// A certificate that comes late is told about at once, and only once;
		// one that has gone is forgotten.
		said = nil
		certs[0] = admin.Certificate{Use: "listener public", Subject: "b", NotAfter: time.Now().Add(5 * day)}
		e.look(certs, warn)
		e.look(certs, warn)
		if len(said) != 1 || len(e) != 1 {
			t.Errorf("said %q, remembers %v", said, e)
		}
	})
}
