package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// honest has the outcomes of the honest client's requests.
type honest struct {
	resident      int // at most, in bytes
	health, calls fate
	failed        error // the first failure
	failures      int
}

// fate has the outcomes of one kind of requests.
type fate struct {
	answered int
	deferred int // 503 with Retry-After
	longest  time.Duration
}

func (h *honest) fail(err error) {
	if h.failures++; h.failed == nil {
		h.failed = err
	}
}

// watch asks for /health, each time over a new connection, and calls a tool, as a
// client would that takes no part in the attack.
func (g *gateway) watch(ctx context.Context, howLong, patience time.Duration) *honest {
	ctx, cancel := context.WithTimeout(ctx, howLong)
	defer cancel()
	h := new(honest)
	fresh := &http.Client{Transport: &http.Transport{TLSClientConfig: g.tls(), DisableKeepAlives: true}, Timeout: 30 * time.Second}
	kept := &http.Client{Transport: &http.Transport{TLSClientConfig: g.tls(), ForceAttemptHTTP2: true}, Timeout: 30 * time.Second}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	resident := g.mostResident(ctx)
	defer func() { h.resident = <-resident }()
	for {
		select {
		case <-ctx.Done():
			return h
		case <-tick.C:
		}
		if g.over() {
			h.fail(errors.New("the gateway has ended"))
			return h
		}
		began := time.Now()
		res, err := fresh.Get("https://" + g.address + "/health")
		if err != nil {
			h.fail(fmt.Errorf("health: %w", err))
			continue
		}
		res.Body.Close()
		took := time.Since(began)
		h.health.answered++ // a 503 is an answer too
		h.health.longest = max(h.health.longest, took)
		if took > patience {
			h.fail(fmt.Errorf("health took %v", took))
		}
		if err := g.call(kept, h); err != nil {
			h.fail(fmt.Errorf("call: %w", err))
		}
	}
}

// call calls a tool without a session.
func (g *gateway) call(hc *http.Client, h *honest) error {
	began := time.Now()
	res, err := g.post(context.Background(), hc, "/honest", "", toolCall("small"))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	h.calls.longest = max(h.calls.longest, time.Since(began))
	switch {
	case err != nil:
		return err
	case res.StatusCode == http.StatusOK && strings.Contains(string(answer), `"content"`):
		h.calls.answered++
	case res.StatusCode == http.StatusServiceUnavailable && res.Header.Get("Retry-After") != "":
		h.calls.deferred++
	default:
		return fmt.Errorf("%d %.300s", res.StatusCode, answer)
	}
	return nil
}

// post posts a message; session may be empty.
func (g *gateway) post(ctx context.Context, hc *http.Client, path, session, message string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+g.address+path, strings.NewReader(message))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if session != "" {
		req.Header.Set("Mcp-Session-Id", session)
	}
	return hc.Do(req)
}
