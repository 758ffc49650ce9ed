package proxy

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpgateway/mcpgateway/proxy/admin"
)

// living is a certificate that begins its life now.
func living(subject string, life time.Duration, r renewal) dated {
	now := time.Now()
	return dated{Certificate: admin.Certificate{Use: "here", Subject: subject, NotAfter: now.Add(life)}, notBefore: now, renewal: r}
}

// listen looks whenever look asks for it, for so long, and returns what was
// said, and when. Before each look the certificates are what renew makes them.
func listen(e expiries, span time.Duration, certs []dated, renew func(*dated)) []string {
	var said []string
	began := time.Now()
	for time.Since(began) <= span {
		for i := range certs {
			renew(&certs[i])
		}
		time.Sleep(e.look(certs, func(c dated, what string) {
			said = append(said, fmt.Sprintf("%v: %s %s", time.Since(began).Round(time.Minute), c.Subject, what))
		}))
	}
	return said
}

func stays(*dated) {}

func TestTheLogTellsTheEndOfACertificateAtEachThresholdOnce(t *testing.T) {
	synctest.Test(t, func(*testing.T) {
		certs := []dated{
			living("a", 70*day, byHand),
			{Certificate: admin.Certificate{Use: "acme", Subject: "not there yet"}, renewal: byACME},
		}
		e := expiries{}
		want := []string{"960h0m0s: a expires within 30 days", "1344h0m0s: a expires within 14 days", "1512h0m0s: a expires within 7 days", "1656h0m0s: a expires within 1 day", "1680h0m0s: a has expired"}
		if said := listen(e, 72*day, certs, stays); !slices.Equal(said, want) {
			t.Errorf("said %q", said)
		}

		// A certificate that comes late is told about at once, and only once;
		// one that has gone is forgotten.
		certs[0] = living("b", 5*day, byHand)
		certs[0].notBefore = time.Now().Add(-85 * day)
		want = []string{"0s: b expires within 7 days"}
		if said := listen(e, 3*day, certs, stays); !slices.Equal(said, want) || len(e) != 1 {
			t.Errorf("said %q, remembers %v", said, e)
		}
	})
}

// An identity may live for no more than an hour, and is replaced when half of it
// is over; a certificate by ACME is when a third is left.
func TestTheLogIsSilentAboutWhatIsRenewedInTime(t *testing.T) {
	for life, r := range map[time.Duration]renewal{time.Hour: byAgent, day: byAgent, 6 * day: byACME, 47 * day: byACME, 90 * day: byACME} {
		synctest.Test(t, func(*testing.T) {
			leaving := living("CA on its way out", life/2, byAgent)
			leaving.outlived = true
			renewed := 0
			said := listen(expiries{}, 4*life, []dated{living("a", life, r), leaving}, func(d *dated) {
				// A look comes up to an hour later than the renewal.
				if !d.outlived && time.Until(d.NotAfter) <= life/3 {
					*d = living("a", life, r)
					renewed++
				}
			})
			if len(said) > 0 || renewed < 3 {
				t.Errorf("of %v: said %q, renewed %d times", life, said, renewed)
			}
		})
	}
}

func TestTheLogTellsOnceThatARenewalDoesNotCome(t *testing.T) {
	for life, want := range map[time.Duration][]string{
		time.Hour: {"50m0s: a expires within 10m0s", "1h0m0s: a has expired"},
		6 * day:   {"120h0m0s: a expires within 1 day", "144h0m0s: a has expired"},
		90*day - time.Second: {
			"1800h0m0s: a expires within 15 days", "1824h0m0s: a expires within 14 days", "1992h0m0s: a expires within 7 days",
			"2136h0m0s: a expires within 1 day", "2160h0m0s: a has expired",
		},
	} {
		synctest.Test(t, func(*testing.T) {
			if said := listen(expiries{}, life+day, []dated{living("a", life, byACME)}, stays); !slices.Equal(said, want) {
				t.Errorf("of %v: said %q, want %q", life, said, want)
			}
		})
	}
}

// A program may be the hand that renews a certificate, and many of those live
// for a week, a day or an hour.
func TestTheLogIsSilentInTheFirstHalfOfALife(t *testing.T) {
	for life, want := range map[time.Duration][]string{
		time.Hour: {"50m0s: a expires within 10m0s", "1h0m0s: a has expired"},
		day:       {"20h0m0s: a expires within 4h0m0s", "24h0m0s: a has expired"},
		7 * day:   {"144h0m0s: a expires within 1 day", "168h0m0s: a has expired"},
		47 * day:  {"792h0m0s: a expires within 14 days", "960h0m0s: a expires within 7 days", "1104h0m0s: a expires within 1 day", "1128h0m0s: a has expired"},
	} {
		synctest.Test(t, func(*testing.T) {
			if said := listen(expiries{}, life+day, []dated{living("a", life, byHand)}, stays); !slices.Equal(said, want) {
				t.Errorf("of %v: said %q, want %q", life, said, want)
			}
		})
	}
}
