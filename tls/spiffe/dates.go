package spiffe

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// skew is how far in the future a certificate may begin and be used all the
// same. The date is by the issuer's clock and peers go by theirs, so it is
// mostly ours that is behind; synchronized clocks differ by less.
const skew = time.Minute

// earlyError says that a delivery is of use later.
type earlyError struct {
	what string
	from time.Time
}

func (e *earlyError) Error() string {
	return fmt.Sprintf("%s is not valid before %s, and waits for that; look at the clocks of this host and of the issuer", e.what, date(e.from))
}

// checkDates says why a delivery is of no use at that time: peers would refuse
// the SVID, or there is no CA by which we could accept any of them.
func checkDates(svid *x509svid.SVID, authorities []*x509.Certificate, now time.Time) error {
	for i, cert := range svid.Certificates {
		what := "the certificate of " + svid.ID.String()
		if i > 0 {
			if bytes.Equal(cert.RawSubject, cert.RawIssuer) {
				continue // a root that was sent along is not what peers go by
			}
			what = fmt.Sprintf("the intermediate %q of %s", cert.Subject, svid.ID)
		}
		if err := checkCertificate(cert, what, now); err != nil {
			return err
		}
	}
	return checkAuthorities(authorities, svid.ID.TrustDomain().Name(), now)
}

// checkAuthorities wants one CA that is in date: that of yesterday and that of
// tomorrow stand in a bundle by right.
func checkAuthorities(authorities []*x509.Certificate, domain string, now time.Time) error {
	reason := fmt.Errorf("the bundle of trust domain %s holds no CA; look at the agent", domain)
	var early *earlyError
	for _, ca := range authorities {
		if !ca.IsCA {
			continue
		}
		err := checkCertificate(ca, fmt.Sprintf("of the CAs of trust domain %s none is in date; %q", domain, ca.Subject), now)
		if err == nil {
			return nil
		}
		reason = err
		if e, ok := errors.AsType[*earlyError](err); ok && (early == nil || e.from.Before(early.from)) {
			early = e
		}
	}
	if early != nil {
		return early
	}
	return reason
}

func checkCertificate(cert *x509.Certificate, what string, now time.Time) error {
	switch {
	case now.After(cert.NotAfter):
		return fmt.Errorf("%s expired on %s; look at the agent, and at the clock", what, date(cert.NotAfter))
	case now.Add(skew).Before(cert.NotBefore):
		return &earlyError{what, cert.NotBefore}
	}
	return nil
}

func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }
