package clusters_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters"
	"github.com/mcpgateway/mcpgateway/clusters/peertest"
	"github.com/mcpgateway/mcpgateway/clusters/transport"
)

// dead is an address where nothing listens.
const dead = "http://127.0.0.2:1"

// moody answers each request with the next status, and then with 200.
func moody(t testing.TB, tries *atomic.Int32, statuses ...int) *peertest.Server {
	return peertest.Serve(t, "", nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(tries.Add(1))
		if n > len(statuses) {
			peertest.Echo(w, r)
			return
		}
		switch status := statuses[n-1]; status {
		case 0:
			panic(http.ErrAbortHandler)
		case -1:
			_, _ = io.Copy(io.Discard, r.Body) // else the server does not see the client leave
			<-r.Context().Done()
		default:
			w.WriteHeader(status)
		}
	}))
}

func TestOnlyWhatIsSafeIsRepeated(t *testing.T) {
	all := []string{"connect_failure", "reset", "502", "503", "504"}
	for _, tc := range []struct {
		method   string
		statuses []int
		policy   clusters.RetryPolicy
		tries    int32
		status   int // 0: an error
	}{
		{"GET", []int{503}, clusters.RetryPolicy{}, 1, 503},
		{"GET", []int{503}, clusters.RetryPolicy{Attempts: 2, On: all}, 2, 200},
		{"GET", []int{503, 503}, clusters.RetryPolicy{Attempts: 2, On: all}, 2, 503},
		{"GET", []int{503}, clusters.RetryPolicy{Attempts: 2, On: []string{"502"}}, 1, 503},
		{"GET", []int{500}, clusters.RetryPolicy{Attempts: 2, On: all}, 1, 500},
		{"POST", []int{503}, clusters.RetryPolicy{Attempts: 2, On: all}, 1, 503},
		{"PUT", []int{503}, clusters.RetryPolicy{Attempts: 2, On: all}, 2, 200},
		{"DELETE", []int{0}, clusters.RetryPolicy{Attempts: 2, On: all}, 2, 200},
		{"POST", []int{0}, clusters.RetryPolicy{Attempts: 2, On: all}, 1, 0},
		{"GET", []int{-1}, clusters.RetryPolicy{Attempts: 2, On: all, PerTryTimeout: 50 * time.Millisecond}, 2, 200},
		{"GET", []int{-1}, clusters.RetryPolicy{Attempts: 1, On: all, PerTryTimeout: 50 * time.Millisecond}, 1, 0},
	} {
		t.Run(fmt.Sprint(tc.method, tc.statuses, tc.policy.Attempts, tc.policy.On), func(t *testing.T) {
			var tries atomic.Int32
			server := moody(t, &tries, tc.statuses...)
			c := get(t, newSet(t, clusters.Options{}, cluster(t, "c", "http://"+server.Addr)), "c")
			var picked []*clusters.Endpoint
			ctx := clusters.OnPick(clusters.WithRetry(t.Context(), tc.policy), func(e *clusters.Endpoint) { picked = append(picked, e) })
			res, err := c.RoundTrip(peertest.Request(t, tc.method, "/", "body").WithContext(ctx))
			status := 0
			if err == nil {
				status = res.StatusCode
				if got := peertest.Read(t, res); status == 200 && !strings.HasSuffix(got, " body") {
					t.Errorf("the body arrived as %q", got)
				}
			}
			if status != tc.status || tries.Load() != tc.tries || len(picked) != int(tc.tries) {
				t.Errorf("%d tries, status %d, %v", tries.Load(), status, err)
			}
			if tc.policy.PerTryTimeout > 0 && err != nil && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a timeout is %v", err)
			}
			if n := c.Endpoints()[0].Active(); n != 0 {
				t.Errorf("%d requests are counted in the end", n)
			}
		})
	}
}

// once is a body that cannot be had again.
type once struct {
	io.Reader
	closed atomic.Bool
}

func (o *once) Close() error { o.closed.Store(true); return nil }

func TestConnectFailuresMoveOnWithTheBodyIntact(t *testing.T) {
	server := peertest.Serve(t, "", nil, http.HandlerFunc(peertest.Echo))
	cfg := cluster(t, "c", dead, "http://127.0.0.3:1", "http://"+server.Addr)
	cfg.Balancing = "round_robin"
	var retries []string
	trace := clusters.Trace{Retry: func(_, _, reason string) { retries = append(retries, reason) }}
	c := get(t, newSet(t, clusters.Options{Trace: trace}, cfg), "c")
	body := &once{Reader: strings.NewReader("payload")}
	req := peertest.Request(t, "POST", "/", "")
	req.Body, req.GetBody, req.ContentLength = body, nil, 7
	res, err := c.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if got := peertest.Read(t, res); !strings.HasSuffix(got, "payload") {
		t.Errorf("arrived: %q", got)
	}
	if len(retries) == 0 || retries[0] != "connect_failure" || !body.closed.Load() {
		t.Errorf("retries %v, body closed %v", retries, body.closed.Load())
	}
}

func TestAClusterOfDeadEndpointsFailsWithTheReason(t *testing.T) {
	var cfg = cluster(t, "c", dead, "http://127.0.0.3:1", "http://127.0.0.4:1", "http://127.0.0.5:1", "http://127.0.0.6:1", "http://127.0.0.7:1")
	c := get(t, newSet(t, clusters.Options{}, cfg), "c")
	body := &once{Reader: strings.NewReader("payload")}
	req := peertest.Request(t, "POST", "/", "")
	req.Body, req.GetBody, req.ContentLength = body, nil, 7
	_, err := c.RoundTrip(req)
	if ce := (*transport.ConnectError)(nil); !errors.As(err, &ce) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v", err)
	}
	var tried uint64
	for _, e := range c.Endpoints() {
		tried += e.Status().Requests
	}
	if tried != 4 || !body.closed.Load() {
		t.Errorf("%d endpoints were tried, body closed: %v", tried, body.closed.Load())
	}
}

func TestARetryPrefersAnotherEndpoint(t *testing.T) {
	var a, b atomic.Int32
	bad, good := moody(t, &a, 503, 503, 503), moody(t, &b)
	cfg := cluster(t, "c", "http://"+bad.Addr, "http://"+good.Addr)
	cfg.Balancing = "round_robin"
	c := get(t, newSet(t, clusters.Options{}, cfg), "c")
	ctx := clusters.WithRetry(t.Context(), clusters.RetryPolicy{Attempts: 2, On: []string{"503"}})
	for range 3 {
		res, err := c.RoundTrip(peertest.Request(t, "GET", "/", "").WithContext(ctx))
		if err != nil || res.StatusCode != 200 {
			t.Fatalf("%v, %v", res, err)
		}
		peertest.Read(t, res)
	}
	if a.Load() == 0 || b.Load() != 3 {
		t.Errorf("tries: %d and %d", a.Load(), b.Load())
	}
}

func TestACanceledRequestIsNotRepeated(t *testing.T) {
	var tries atomic.Int32
	server := moody(t, &tries, -1, -1)
	c := get(t, newSet(t, clusters.Options{}, cluster(t, "c", "http://"+server.Addr)), "c")
	ctx, cancel := context.WithCancel(clusters.WithRetry(t.Context(), clusters.RetryPolicy{Attempts: 5, On: []string{"reset"}}))
	go func() {
		peertest.Eventually(t, "a try", func() bool { return tries.Load() == 1 })
		cancel()
	}()
	_, err := c.RoundTrip(peertest.Request(t, "GET", "/", "").WithContext(ctx))
	if !errors.Is(err, context.Canceled) || tries.Load() != 1 {
		t.Errorf("%d tries, %v", tries.Load(), err)
	}
}

func TestLeastRequestSparesTheBusyEndpoint(t *testing.T) {
	hold := make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-hold
	})
	a, b := peertest.Serve(t, "", nil, handler), peertest.Serve(t, "", nil, handler)
	c := get(t, newSet(t, clusters.Options{}, cluster(t, "c", "http://"+a.Addr, "http://"+b.Addr)), "c")
	var open []*http.Response
	for range 20 {
		res, err := c.RoundTrip(peertest.Request(t, "GET", "/", ""))
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, res)
	}
	// With two endpoints, both choices are looked at: they share evenly.
	if x, y := c.Endpoints()[0].Active(), c.Endpoints()[1].Active(); x != 10 || y != 10 {
		t.Errorf("%d and %d in flight", x, y)
	}
	close(hold)
	for _, res := range open {
		peertest.Read(t, res)
	}
	if x, y := c.Endpoints()[0].Active(), c.Endpoints()[1].Active(); x != 0 || y != 0 {
		t.Errorf("%d and %d in flight at the end", x, y)
	}
}

func TestRoundRobinTakesTurns(t *testing.T) {
	cfg := cluster(t, "c", "http://192.0.2.1", "http://192.0.2.2", "http://192.0.2.3")
	cfg.Balancing = "round_robin"
	c := get(t, newSet(t, clusters.Options{}, cfg), "c")
	count := map[*clusters.Endpoint]int{}
	for range 30 {
		e, err := c.Pick()
		if err != nil {
			t.Fatal(err)
		}
		count[e]++
	}
	for e, n := range count {
		if n != 10 {
			t.Errorf("%s had %d turns", e.ID(), n)
		}
	}
	if _, err := c.Pick(c.Endpoints()...); !errors.Is(err, clusters.ErrNoHealthyUpstream) {
		t.Errorf("without any: %v", err)
	}
}
