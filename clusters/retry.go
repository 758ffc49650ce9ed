package clusters

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// RetryPolicy says when Cluster.RoundTrip tries a request again.
type RetryPolicy struct {
	// Attempts is the number of tries in all; 0 and 1 mean no retry. Endpoints
	// that could not be connected to are passed over in any case: nothing was
	// sent to them.
	Attempts int
	// On lists "connect_failure", "reset" (no response header came), and status
	// codes such as "503". All but connect_failure hold for idempotent methods
	// only (RFC 9110, section 9.2.2). A try that took too long counts as 504.
	On []string
	// PerTryTimeout bounds each try up to its response header; 0 is no bound.
	PerTryTimeout time.Duration
}

const (
	// maxFailovers bounds the endpoints that one request tries in vain to
	// connect to, besides its policy's attempts.
	maxFailovers = 3
	// backoffUnit is the longest wait before the second try; it doubles with
	// each, up to maxRetryBackoff.
	backoffUnit     = 25 * time.Millisecond
	maxRetryBackoff = 250 * time.Millisecond
	// maxDiscard bounds what is read of an answer that is not wanted, so that
	// its connection can be used again.
	maxDiscard = 64 << 10
)

type retryKey struct{}
type pickKey struct{}

// WithRetry returns a context whose requests Cluster.RoundTrip retries.
func WithRetry(ctx context.Context, p RetryPolicy) context.Context {
	return context.WithValue(ctx, retryKey{}, p)
}

// OnPick returns a context whose requests report each endpoint that
// Cluster.RoundTrip is about to try; the last one is the one that answered.
func OnPick(ctx context.Context, f func(*Endpoint)) context.Context {
	return context.WithValue(ctx, pickKey{}, f)
}

// RoundTrip sends the request to an endpoint that Pick chooses, and to others as
// its context's RetryPolicy says. When an endpoint cannot be connected to, it
// goes on to others without any policy, since nothing was sent. Otherwise as
// Endpoint.RoundTrip.
func (c *Cluster) RoundTrip(req *http.Request) (*http.Response, error) {
	policy, _ := req.Context().Value(retryKey{}).(RetryPolicy)
	onPick, _ := req.Context().Value(pickKey{}).(func(*Endpoint))
	payload := newReplay(req)
	defer payload.settle()
	var tried []*Endpoint
	var last error
	for attempt, failovers := 1, 0; ; attempt++ {
		e, err := c.Pick(tried...)
		if err != nil && len(tried) > 0 && attempt <= policy.Attempts {
			e, err = c.Pick() // there is no other; the same may do now
		}
		if err != nil {
			payload.giveUp()
			if last != nil {
				return nil, last
			}
			return nil, err
		}
		if onPick != nil {
			onPick(e)
		}
		res, err := e.try(payload.request(), policy.PerTryTimeout)
		reason := c.failure(req, res, err)
		if reason == "" || !payload.again() {
			return res, err
		}
		again := attempt < policy.Attempts && slices.Contains(policy.On, reason)
		switch {
		case reason == connectFailure:
			failovers++
			again = again || failovers <= maxFailovers && c.hasOther(tried, e)
		case reason == "timeout":
			again = attempt < policy.Attempts && slices.Contains(policy.On, "504") && idempotent(req)
		default:
			again = again && idempotent(req)
		}
		if !again || req.Context().Err() != nil {
			return res, err
		}
		if t := c.opts.Trace; t != nil && t.Retry != nil {
			t.Retry(c.cfg.Name, e.id, reason)
		}
		if res != nil {
			_, _ = io.CopyN(io.Discard, res.Body, maxDiscard)
			res.Body.Close()
		}
		tried, last = append(tried, e), err
		if reason != connectFailure && !sleep(req.Context(), retryBackoff(attempt)) {
			payload.giveUp()
			return nil, context.Cause(req.Context())
		}
	}
}

const connectFailure = "connect_failure"

// failure names what went wrong with a try in the words of RetryPolicy.On, ""
// when nothing did.
func (c *Cluster) failure(req *http.Request, res *http.Response, err error) string {
	if err == nil {
		if res.StatusCode >= 400 {
			return strconv.Itoa(res.StatusCode)
		}
		return ""
	}
	if ce := (*ConnectError)(nil); errors.As(err, &ce) {
		return connectFailure
	}
	if errors.Is(err, errTryTimeout) {
		return "timeout"
	}
	return "reset"
}

// idempotent reports whether sending the request twice does no harm. An upgrade
// opens a stream, which no method makes repeatable.
func idempotent(req *http.Request) bool {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return !isUpgrade(req)
	}
	return false
}

// hasOther reports whether an endpoint is left that was not tried.
func (c *Cluster) hasOther(tried []*Endpoint, e *Endpoint) bool {
	_, err := c.Pick(append(slices.Clone(tried), e)...)
	return err == nil
}

func retryBackoff(attempt int) time.Duration {
	limit := min(backoffUnit<<min(attempt-1, 10), maxRetryBackoff)
	return time.Duration(rand.Int64N(int64(limit)))
}
