package filter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/mcpgateway/mcpgateway/tls"
)

const (
	// fetchTimeout bounds one fetch, maxSetBytes what it may bring.
	fetchTimeout = 10 * time.Second
	maxSetBytes  = 1 << 20
	// unknownEvery bounds the fetches that tokens with unknown keys cause,
	// which any client can make up.
	unknownEvery = 10 * time.Second
	// awaitAtMost bounds how long a request waits for such a fetch.
	awaitAtMost = 5 * time.Second
	// A fetch that failed is repeated after retryFirst, doubling up to
	// retryMost.
	retryFirst = time.Second
	retryMost  = time.Minute
)

// remoteSet is a key set behind a URL. One goroutine fetches it, at once, then
// every refresh, and when a token needs a key that it lacks. While the URL is
// down or has no key that is of use, the keys last seen stay in use.
type remoteSet struct {
	config     *JWKSConfig
	algorithms []string
	client     *http.Client
	trace      *AuthTrace
	stop       context.CancelFunc
	stopped    chan struct{}
	wanted     chan struct{}
	limit      *rate.Limiter
	ends       atomic.Int64 // how many fetches have ended

	mu       sync.Mutex
	current  keySet
	err      error
	fetching bool
	fetched  chan struct{} // closed by the next fetch that ends
}

func newRemoteSet(cfg *JWKSConfig, algorithms []string, trace *AuthTrace) (*remoteSet, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("jwks: %w", err)
	}
	transport := &http.Transport{
		DialContext:           (&net.Dialer{Timeout: fetchTimeout}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          1,
		IdleConnTimeout:       30 * time.Second,
		TLSHandshakeTimeout:   fetchTimeout,
		ResponseHeaderTimeout: fetchTimeout,
	}
	if u.Scheme == "https" {
		client, err := tls.NewClient(&tls.ClientConfig{CACert: cfg.CACert, MinVersion: "1.2"})
		if err != nil {
			return nil, fmt.Errorf("jwks: %w", err)
		}
		transport.TLSClientConfig = client.Config(u.Hostname(), []string{"h2", "http/1.1"})
	}
	return newFetcher(cfg, algorithms, trace, transport), nil
}

// newFetcher starts the goroutine.
func newFetcher(cfg *JWKSConfig, algorithms []string, trace *AuthTrace, transport http.RoundTripper) *remoteSet {
	ctx, stop := context.WithCancel(context.Background())
	s := &remoteSet{
		config: cfg, algorithms: algorithms, trace: trace,
		client: &http.Client{
			Transport: transport,
			Timeout:   fetchTimeout,
			// Where the keys come from is configured, not negotiated.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		stop: stop, stopped: make(chan struct{}), wanted: make(chan struct{}, 1),
		limit:    rate.NewLimiter(rate.Every(unknownEvery), 1),
		fetching: true, fetched: make(chan struct{}),
	}
	go s.run(ctx)
	return s
}

// close ends the goroutine and waits for it.
func (s *remoteSet) close() {
	if s != nil {
		s.stop()
		<-s.stopped
	}
}

func (s *remoteSet) run(ctx context.Context) {
	defer close(s.stopped)
	defer s.client.CloseIdleConnections()
	retry := retryFirst
	for {
		s.mu.Lock()
		s.fetching = true
		s.mu.Unlock()
		keys, err := s.fetch(ctx)
		s.ended(keys, err)
		if ctx.Err() != nil {
			return
		}
		if s.trace != nil && s.trace.JWKS != nil {
			s.trace.JWKS(s.config.URL, len(keys), err)
		}
		next := s.config.Refresh
		if err != nil {
			next = min(retry, s.config.Refresh)
			retry = min(2*retry, retryMost)
		} else {
			retry = retryFirst
		}
		select {
		case <-time.After(next):
		case <-s.wanted:
		case <-ctx.Done():
			return
		}
	}
}

func (s *remoteSet) ended(keys keySet, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err = err; err == nil {
		s.current = keys
	}
	s.fetching = false
	s.ends.Add(1)
	close(s.fetched)
	s.fetched = make(chan struct{})
}

func (s *remoteSet) fetch(ctx context.Context) (keySet, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.config.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("fetching the key set: %w", err)
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetching the key set: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetching the key set: %s answered %s", s.config.URL, resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxSetBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading the key set: %w", err)
	}
	if len(body) > maxSetBytes {
		return nil, fmt.Errorf("the key set is longer than %d bytes", maxSetBytes)
	}
	keys, err := parseJWKS(body)
	if err != nil {
		return nil, err
	}
	if keys = keys.restrict(s.algorithms); len(keys) == 0 {
		// An issuer that answers so is being set up or is broken. Taking its
		// answer would refuse every token until the next fetch.
		return nil, fmt.Errorf("the key set of %s has no key that verifies signatures of the accepted algorithms", s.config.URL)
	}
	return keys, nil
}

// fetches returns how many fetches have ended. A token that was refused between two
// different values is to be read again: its key may have come meanwhile.
func (s *remoteSet) fetches() int64 {
	if s == nil {
		return 0
	}
	return s.ends.Load()
}

// keys returns the set last seen; nil before the first.
func (s *remoteSet) keys() keySet {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// failure returns why the last fetch failed, or nil.
func (s *remoteSet) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil && s.err == nil {
		return errors.New("it was not fetched yet")
	}
	return s.err
}

// has reports whether fetching the set again would be of no use to the token:
// it holds a key that fits, or could not hold one.
func (s *remoteSet) has(c *claims) bool {
	return !slices.Contains(asymmetric, c.algorithm) || len(s.keys().find(c.algorithm, c.keyID)) > 0
}

// await waits for the fetch that runs, or asks for one. It returns false when
// there was none to wait for, or when it took too long.
func (s *remoteSet) await(ctx context.Context) bool {
	s.mu.Lock()
	if !s.fetching {
		if !s.limit.Allow() {
			s.mu.Unlock()
			return false
		}
		s.fetching = true // the others wait for this one
		select {
		case s.wanted <- struct{}{}:
		default: // a request from before the last fetch is still to be seen
		}
	}
	fetched := s.fetched
	s.mu.Unlock()
	select {
	case <-fetched:
		return true
	case <-s.stopped:
	case <-time.After(awaitAtMost):
	case <-ctx.Done():
	}
	return false
}
