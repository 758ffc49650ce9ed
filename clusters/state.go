package clusters

import (
	"errors"
	"sync"
	"sync/atomic"
)

// state is what is known about an endpoint: health and counters. It belongs to
// the (cluster, URL, address), and so outlives pools and generations; but for ill
// health, which a new way of reaching the server may have cured.
type state struct {
	*tally
	// checked says whether active checks are in force; without them the verdict
	// means nothing.
	checked atomic.Bool
	// shared is set once a committed set has the endpoint: from then on a set
	// that is only prepared must not change what is known.
	shared  atomic.Bool
	verdict atomic.Int32 // a Health: Warming, Healthy or Unhealthy

	mu        sync.Mutex
	good, bad int // checks in a row
	lastErr   error
}

// tally is the part of a state that does not depend on how the server is reached.
type tally struct {
	protocol atomic.Pointer[string] // see Endpoint.SetProtocol

	active   atomic.Int64  // requests in flight
	requests atomic.Uint64 // tries
}

// newState returns the state of an endpoint that has no verdict yet.
func newState(t *tally, checked bool) *state {
	s := &state{tally: t}
	s.checked.Store(checked)
	return s
}

// observe takes the outcome of one check. It reports whether the verdict has
// changed, and whether the next check should follow soon: until the first
// verdict, and on the way back to health, waiting a whole interval for each
// success would keep a good endpoint out of use.
func (s *state) observe(err error, h *HealthCheck) (changed, hurry bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastErr = err
	if err == nil {
		s.good, s.bad = s.good+1, 0
	} else {
		s.good, s.bad = 0, s.bad+1
	}
	was := Health(s.verdict.Load())
	is := was
	switch {
	case err == nil && (was == Warming || s.good >= h.HealthyThreshold):
		is = Healthy
	case err != nil && s.bad >= h.UnhealthyThreshold:
		is = Unhealthy
	}
	if is != was {
		s.verdict.Store(int32(is))
	}
	return is != was, is == Warming || is == Unhealthy && err == nil
}

// starting takes note of a check that found a process that is starting. That
// is neither a success nor a failure.
func (s *state) starting(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastErr = err
}

// forget takes back what checks have found out.
func (s *state) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.verdict.Store(int32(Warming))
	s.lastErr, s.good, s.bad = nil, 0, 0
}

// setChecked turns the verdict on or off. What checks found out before they
// were turned off is too old to be believed when they are turned on again.
func (s *state) setChecked(on bool) {
	if s.checked.Swap(on) && !on {
		s.forget()
	}
}

// health is the verdict that traffic follows: Unchecked, Warming, Healthy or
// Unhealthy.
func (s *state) health() Health {
	if !s.checked.Load() {
		return Unchecked
	}
	return Health(s.verdict.Load())
}

// report is health for operators, who learn of Unauthorized too, with the error of
// the last check.
func (s *state) report() (h Health, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h = s.health()
	if h == Unhealthy && errors.Is(s.lastErr, ErrUnauthorized) {
		h = Unauthorized
	}
	return h, s.lastErr
}
