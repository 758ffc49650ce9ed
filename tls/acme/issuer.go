package acme

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
)

// attempt travels in the context from a renewer to the order and to the HTTP
// transport.
type attempt struct {
	replaces   *x509.Certificate         // what the order is to replace; nil: nothing
	retryAfter atomic.Pointer[time.Time] // when the authority wants to be asked again
}

// limitedError is a failure after which the authority wants to be left alone.
type limitedError struct {
	error
	until time.Time
}

func (e *limitedError) Unwrap() error { return e.error }

// limit adds to the failure of an attempt what the authority said about the next.
func (at *attempt) limit(err error) error {
	if until := at.retryAfter.Load(); err != nil && until != nil {
		return &limitedError{err, *until}
	}
	return err
}

// retryAfterOf is when the attempt may be repeated that failed by err; zero: at
// any time.
func retryAfterOf(err error) time.Time {
	if limited, ok := errors.AsType[*limitedError](err); ok {
		return limited.until
	}
	return time.Time{}
}

type attemptKey struct{}

func attemptOf(ctx context.Context) *attempt {
	if at, ok := ctx.Value(attemptKey{}).(*attempt); ok {
		return at
	}
	return &attempt{}
}

// IssuerKey implements certmagic.Issuer.
func (a *account) IssuerKey() string { return a.issuerKey }

// Issue implements certmagic.Issuer.
func (a *account) Issue(ctx context.Context, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	issued, used, err := a.order(ctx, csr)
	if problem, ok := problemOf(err); ok && problem.Type == acme.ProblemTypeAccountDoesNotExist {
		// The authority was set up anew, as private ones are. It does not know
		// what is to be replaced either.
		if err := a.forget(ctx, used); err != nil {
			return nil, err
		}
		attemptOf(ctx).replaces = nil
		issued, _, err = a.order(ctx, csr)
	}
	return issued, err
}

// order also returns the registration that it used.
func (a *account) order(ctx context.Context, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, acme.Account, error) {
	client := a.client()
	registered, err := a.registration(ctx, client)
	if err != nil {
		return nil, registered, err
	}
	params, err := acmez.OrderParametersFromCSR(registered, csr)
	if err != nil {
		return nil, registered, err
	}
	params.Replaces = attemptOf(ctx).replaces
	chains, err := client.ObtainCertificate(ctx, params)
	if err != nil {
		return nil, registered, fmt.Errorf("%s: %w", a.directory, err)
	}
	if len(chains) == 0 {
		return nil, registered, fmt.Errorf("%s: the authority sent no certificate", a.directory)
	}
	return &certmagic.IssuedCertificate{Certificate: chains[0].ChainPEM, Metadata: chains[0]}, registered, nil
}

// problemOf is what the authority said, if err came of that. The client wraps it
// as a value and, when an order fails that was being finalised, as a pointer.
func problemOf(err error) (acme.Problem, bool) {
	if p, ok := errors.AsType[acme.Problem](err); ok {
		return p, true
	}
	if p, ok := errors.AsType[*acme.Problem](err); ok && p != nil {
		return *p, true
	}
	return acme.Problem{}, false
}

// renewalInfo asks when the authority wants a certificate renewed.
func (a *account) renewalInfo(ctx context.Context, leaf *x509.Certificate) (*acme.RenewalInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, httpTimeout)
	defer cancel()
	info, err := a.client().GetRenewalInfo(ctx, leaf)
	if err != nil {
		return nil, err
	}
	return &info, nil
}

// retryAfterTransport notes the header Retry-After of refusals, which the ACME
// client does not hand on, and bounds the bodies, which it reads whole.
type retryAfterTransport struct{ *http.Transport }

// RoundTrip implements http.RoundTripper.
func (t *retryAfterTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.Transport.RoundTrip(req)
	if err != nil {
		return resp, err
	}
	resp.Body = limitedBody{io.LimitReader(resp.Body, maxBody), resp.Body}
	if resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
		return resp, nil
	}
	if at, ok := parseRetryAfter(resp.Header.Get("Retry-After")); ok {
		attemptOf(req.Context()).retryAfter.Store(&at)
	}
	return resp, nil
}

type limitedBody struct {
	io.Reader
	io.Closer
}

// parseRetryAfter takes seconds or a date, and no more than a day of either.
func parseRetryAfter(header string) (time.Time, bool) {
	at, err := http.ParseTime(header)
	if seconds, numErr := strconv.Atoi(header); numErr == nil && seconds >= 0 {
		at, err = time.Now().Add(time.Duration(min(seconds, 24*60*60))*time.Second), nil
	}
	if err != nil {
		return time.Time{}, false
	}
	return notBeyondADay(time.Now(), at), true
}
