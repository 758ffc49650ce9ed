package acme

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// register makes an account known to its authority, and tries until it is. An
// order would do so too, but where certificates are stored it comes in weeks:
// too late to find out that a key or a CA is wrong.
func (m *Manager) register(a *account) {
	setError := func(err error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		a.err = err
	}
	for failures := 0; ; {
		registered, err := m.introduceOnce(a)
		switch {
		case a.ctx.Err() != nil:
			return
		case err == nil:
			setError(nil)
			if registered || failures > 0 {
				m.event(Event{Kind: EventRegistered})
			}
			return
		}
		failures++
		wait := m.timing.backoff(failures, m.timing.longest, err, retryAfterOf(err))
		err = brief(fmt.Errorf("the ACME account cannot be used: %w", err))
		setError(err)
		m.event(Event{Kind: EventUnregistered, Err: err, RetryIn: wait})
		sleep(a.ctx, wait)
	}
}

func (m *Manager) introduceOnce(a *account) (registered bool, err error) {
	at := &attempt{}
	ctx, cancel := context.WithTimeout(context.WithValue(a.ctx, attemptKey{}, at), m.timing.attempt)
	defer cancel()
	if _, err = a.loadRegistration(ctx); err == nil {
		return false, at.limit(a.visit(ctx))
	}
	_, err = a.registration(ctx, a.client())
	return err == nil, at.limit(err)
}

// visit looks whether the authority can be reached and is believed. The ACME
// client would not ask for a directory that it knows from a former account.
func (a *account) visit(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.directory, nil)
	if err != nil {
		return err
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body) // so that the connection can be used again
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", a.directory, resp.Status)
	}
	return nil
}
