package clusters

import (
	"cmp"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters/transport"
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
	// maxFailovers bounds how often a request goes on to another endpoint
	// without its policy's leave.
	maxFailovers = 3
	// backoffUnit is the longest wait before the second try; it doubles with
	// each, up to maxRetryBackoff.
	backoffUnit     = 25 * time.Millisecond
	maxRetryBackoff = 250 * time.Millisecond
	// maxDiscard bounds what is read of an answer that is not wanted, so that
	// its connection can be used again.
	maxDiscard = 2 << 10
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
	ctx := req.Context()
	policy, _ := ctx.Value(retryKey{}).(RetryPolicy)
	onPick, _ := ctx.Value(pickKey{}).(func(*Endpoint))
	body := newRetryBody(req)
	defer body.finish()
	var tried []*Endpoint
	var last error
	for attempt := 1; ; attempt++ {
		e, err := c.Pick(tried...)
		if err != nil && len(tried) > 0 && attempt <= policy.Attempts {
			e, err = c.Pick() // there is no other; the same may do now
		}
		if err != nil {
			return nil, cmp.Or(last, err)
		}
		if onPick != nil {
			onPick(e)
		}
		res, err := e.try(body.request(), policy.PerTryTimeout)
		reason := failure(res, err)
		tried = append(tried, e)
		if ctx.Err() != nil || !policy.again(c, req, reason, attempt, tried) || !body.again() {
			return res, err
		}
		if notify := c.opts.Trace.Retry; notify != nil {
			notify(c.cfg.Name, e.id, reason)
		}
		if res != nil {
			discard(res)
		}
		last = err
		if reason != connectFailure && !sleep(ctx, retryBackoff(attempt)) {
			return nil, context.Cause(ctx)
		}
	}
}

// again reports whether there should be another try, after those on the endpoints of
// the cluster.
func (p *RetryPolicy) again(c *Cluster, req *http.Request, reason string, attempt int, tried []*Endpoint) bool {
	allowed := attempt < p.Attempts && slices.Contains(p.On, reason)
	switch reason {
	case "":
		return false
	case connectFailure:
		return allowed || len(tried) <= maxFailovers && len(c.balancer.candidates(nil, c.Endpoints(), tried)) > 0
	case timedOut:
		allowed = attempt < p.Attempts && slices.Contains(p.On, "504")
	}
	return allowed && transport.Idempotent(req)
}

const (
	connectFailure = "connect_failure"
	timedOut       = "timeout"
)

// failure names what went wrong with a try in the words of RetryPolicy.On, ""
// when nothing did.
func failure(res *http.Response, err error) string {
	_, unsent := errors.AsType[*transport.ConnectError](err)
	switch {
	case unsent:
		return connectFailure
	case errors.Is(err, transport.ErrTryTimeout):
		return timedOut
	case err != nil:
		return "reset"
	case res.StatusCode >= 400:
		return strconv.Itoa(res.StatusCode)
	}
	return ""
}

// discard gives up an answer. A short one is read, so that its connection can
// be used again.
func discard(res *http.Response) {
	if res.ContentLength >= 0 && res.ContentLength <= maxDiscard {
		_, _ = io.CopyN(io.Discard, res.Body, maxDiscard)
	}
	res.Body.Close()
}

func retryBackoff(attempt int) time.Duration {
	limit := min(backoffUnit<<min(attempt-1, 10), maxRetryBackoff)
	return time.Duration(rand.Int64N(int64(limit)))
}
