package filter

import (
	"crypto"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// keyServer serves a key set that tests change.
type keyServer struct {
	*httptest.Server
	fetches atomic.Int64
	hold    chan struct{} // when not nil, answers wait for it

	mu     sync.Mutex
	status int
	body   []byte
}

func newKeyServer(t *testing.T, keys map[string]crypto.PublicKey) *keyServer {
	s := &keyServer{status: http.StatusOK, body: jwks(t, keys)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fetches.Add(1)
		if s.hold != nil {
			<-s.hold
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		w.WriteHeader(s.status)
		w.Write(s.body)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *keyServer) set(status int, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.body = status, body
}

func TestKeysRotateWithoutAReload(t *testing.T) {
	server := newKeyServer(t, map[string]crypto.PublicKey{"one": &testKeys.rsa.PublicKey})
	a := newAuth(t, &JWTConfig{JWKS: JWKSConfig{URL: server.URL, Refresh: time.Hour}})
	old := "Bearer " + sign(t, jwt.SigningMethodRS256, testKeys.rsa, "one", alice())
	renewed := "Bearer " + sign(t, jwt.SigningMethodES256, testKeys.ec, "two", alice())

	// The very first request waits for the first fetch.
	if got := ask(t, a, old); got.status != http.StatusOK {
		t.Fatalf("the first key: %d, %s", got.status, got.entry.Reason)
	}
	server.set(200, jwks(t, map[string]crypto.PublicKey{"two": &testKeys.ec.PublicKey}))
	if got := ask(t, a, renewed); got.status != http.StatusOK {
		t.Errorf("a new key: %d, %s", got.status, got.entry.Reason)
	}
	if got := ask(t, a, old); got.status != http.StatusUnauthorized {
		t.Errorf("a key that is gone: %d", got.status)
	}
}

func TestUnknownKeysDoNotFloodTheKeyServer(t *testing.T) {
	server := newKeyServer(t, map[string]crypto.PublicKey{"one": &testKeys.rsa.PublicKey})
	a := newAuth(t, &JWTConfig{JWKS: JWKSConfig{URL: server.URL, Refresh: time.Hour}})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			ask(t, a, "Bearer "+sign(t, jwt.SigningMethodRS256, testKeys.otherRSA, "made-up", alice()))
		})
	}
	all.Wait()
	if n := server.fetches.Load(); n > 2 {
		t.Errorf("%d fetches", n)
	}
	// A symmetric algorithm can not come from a set: no reason to fetch.
	before := server.fetches.Load()
	ask(t, a, "Bearer "+sign(t, jwt.SigningMethodHS256, testKeys.secret, "other", alice()))
	if n := server.fetches.Load(); n != before {
		t.Errorf("HS256 caused %d fetches", n-before)
	}
}

func TestKeysStayInUseWhileTheirServerIsDown(t *testing.T) {
	server := newKeyServer(t, map[string]crypto.PublicKey{"one": &testKeys.rsa.PublicKey})
	var results struct {
		sync.Mutex
		errs []error
	}
	a, err := NewAuth(&AuthConfig{JWT: &JWTConfig{JWKS: JWKSConfig{URL: server.URL, Refresh: time.Hour}}}, &AuthTrace{JWKS: func(url string, keys int, err error) {
		results.Lock()
		defer results.Unlock()
		results.errs = append(results.errs, err)
	}})
	if err != nil {
		t.Fatal(err)
	}
	token := "Bearer " + sign(t, jwt.SigningMethodRS256, testKeys.rsa, "one", alice())
	if got := ask(t, a, token); got.status != 200 {
		t.Fatalf("%d, %s", got.status, got.entry.Reason)
	}
	good := string(jwks(t, map[string]crypto.PublicKey{"one": &testKeys.rsa.PublicKey}))
	for _, broken := range []struct {
		status int
		body   string
	}{{500, good}, {200, `{"keys":[]}`}, {200, `{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`}, {200, `{"keys":[{"kty":"EC"},7]}`}, {200, `<html>`}, {200, strings.Repeat(" ", maxSetBytes+1)}, {302, ""}} {
		server.set(broken.status, []byte(broken.body))
		if _, err := a.jwt.remote.fetch(t.Context()); err == nil {
			t.Errorf("%d %.10q is taken for a key set", broken.status, broken.body)
		}
	}
	unknown := "Bearer " + sign(t, jwt.SigningMethodES256, testKeys.ec, "two", alice())
	if got := ask(t, a, unknown); got.status != 401 || !strings.Contains(got.entry.Reason, "not up to date") {
		t.Errorf("an unknown key while the server is down: %d, %s", got.status, got.entry.Reason)
	}
	if got := ask(t, a, token); got.status != 200 {
		t.Errorf("a known key while the server is down: %d, %s", got.status, got.entry.Reason)
	}
	a.Close()
	if got := ask(t, a, token); got.status != 200 {
		t.Errorf("a request in flight after Close: %d, %s", got.status, got.entry.Reason)
	}
	results.Lock()
	defer results.Unlock()
	if len(results.errs) != 2 || results.errs[0] != nil || results.errs[1] == nil {
		t.Errorf("the trace was told %v", results.errs)
	}
}

func TestAKeySetWithoutUsableKeysWipesNoGoodOnes(t *testing.T) {
	good := jwks(t, map[string]crypto.PublicKey{"one": &testKeys.rsa.PublicKey})
	for name, answer := range map[string][]byte{
		"none":                     []byte(`{"keys":[]}`),
		"a symmetric one":          []byte(`{"keys":[{"kty":"oct","kid":"one","k":"c2VjcmV0"}]}`),
		"one for encryption":       []byte(strings.Replace(string(good), `"sig"`, `"enc"`, 1)),
		"one of another algorithm": jwks(t, map[string]crypto.PublicKey{"one": &testKeys.ec.PublicKey}),
	} {
		synctest.Test(t, func(t *testing.T) {
			var body atomic.Pointer[[]byte]
			body.Store(&good)
			var failed []error
			s := newFetcher(&JWKSConfig{URL: "http://keys.example", Refresh: time.Hour}, []string{"RS256"}, &AuthTrace{JWKS: func(_ string, _ int, err error) {
				failed = append(failed, err)
			}}, roundTrip(func(*http.Request) (*http.Response, error) {
				w := httptest.NewRecorder()
				w.Write(*body.Load())
				return w.Result(), nil
			}))
			synctest.Wait()
			body.Store(&answer)
			time.Sleep(time.Hour + time.Minute) // virtual
			synctest.Wait()
			if len(s.keys().find("RS256", "one")) != 1 || s.failure() == nil {
				t.Errorf("%s: the set has %d keys, failure %v; want the one from before, and why", name, len(s.keys()), s.failure())
			}
			body.Store(&good)
			time.Sleep(retryMost)
			synctest.Wait()
			if s.failure() != nil {
				t.Errorf("%s: the good answer after it was not fetched: %v", name, s.failure())
			}
			s.close()
			if len(failed) < 3 || failed[0] != nil || failed[1] == nil {
				t.Errorf("%s: the trace was told %v", name, failed)
			}
		})
	}
}

func TestAKeyServerThatHangsBlocksNeitherStartNorEnd(t *testing.T) {
	server := newKeyServer(t, nil)
	server.hold = make(chan struct{})
	a, err := NewAuth(&AuthConfig{JWT: &JWTConfig{
		JWKS: JWKSConfig{URL: server.URL, Refresh: time.Hour, File: file(jwks(t, map[string]crypto.PublicKey{"local": &testKeys.ec.PublicKey}))},
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	// What a local key verifies waits for no other key.
	if got := ask(t, a, "Bearer "+sign(t, jwt.SigningMethodES256, testKeys.ec, "local", alice())); got.status != 200 {
		t.Errorf("%d, %s", got.status, got.entry.Reason)
	}
	a.Close()
	close(server.hold)
}

// roundTrip lets a synctest bubble fetch without a network.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestKeySetsAreFetchedAgainInTime(t *testing.T) {
	set := jwks(t, map[string]crypto.PublicKey{"one": &testKeys.rsa.PublicKey})
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var at []time.Duration
		var up atomic.Bool
		s := newFetcher(&JWKSConfig{URL: "http://keys.example", Refresh: time.Hour}, nil, nil, roundTrip(func(*http.Request) (*http.Response, error) {
			at = append(at, time.Since(began))
			w := httptest.NewRecorder()
			if !up.Load() {
				w.WriteHeader(503)
			}
			w.Write(set)
			return w.Result(), nil
		}))
		time.Sleep(3500 * time.Millisecond) // virtual
		up.Store(true)
		time.Sleep(2 * time.Hour)
		s.close()
		want := []time.Duration{0, 1 * time.Second, 3 * time.Second, 7 * time.Second, time.Hour + 7*time.Second}
		if len(at) != len(want) {
			t.Fatalf("fetched at %v, want %v", at, want)
		}
		for i := range at {
			if at[i] != want[i] {
				t.Errorf("fetched at %v, want %v", at, want)
			}
		}
	})
}
