package listeners

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mcpgateway/mcpgateway/internal/memory"
	"github.com/mcpgateway/mcpgateway/internal/testkit"
)

// serveChargedTo serves what comes from now on by a handler, charged to a budget.
func (f *fixture) serveChargedTo(budget *memory.Budget, handler http.HandlerFunc) {
	s := f.newServer(handler)
	s.ChargeTo(budget)
	f.socket.Serve(s)
}

// A client that has many requests open at once is refused more where memory is
// short; a client with one is served.
func TestRequestsInProgressTakeNoMoreThanThereIs(t *testing.T) {
	const limit = 40 * requestCost
	for _, c := range []struct {
		proto  string
		header int // bytes
		sent   int64
		most   int64
	}{
		{"HTTP/2", 0, 60, 40}, {"HTTP/3", 0, 60, 40}, {"HTTP/2", 40 << 10, 30, 18}, {"HTTP/3", 40 << 10, 30, 18},
	} {
		t.Run(c.proto, func(t *testing.T) {
			var waiting atomic.Int64
			release := make(chan struct{})
			budget := memory.New(nil)
			budget.SetLimit(limit)
			f := newFixture(t, hello, withHTTP3)
			f.serveChargedTo(budget, func(_ http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/wait" {
					waiting.Add(1)
					<-release
				}
			})
			newClient := func() *http.Client {
				if c.proto == "HTTP/3" {
					return f.quic(f.clientTLS(nil)).Client
				}
				return f.client((*http.Protocols).SetHTTP2)
			}
			get := func(client *http.Client, path string) int {
				req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, f.url(path), http.NoBody)
				if err != nil {
					t.Error(err)
					return 0
				}
				if path == "/wait" {
					req.Header.Set("X-Long", strings.Repeat("a", c.header))
				}
				res, err := client.Do(req)
				if err != nil {
					t.Error(err)
					return 0
				}
				res.Body.Close()
				return res.StatusCode
			}
			many, other := newClient(), newClient()
			get(many, "/") // so that all have one connection
			get(other, "/")
			var refused atomic.Int64
			var requests sync.WaitGroup
			for range c.sent {
				requests.Go(func() {
					if get(many, "/wait") == http.StatusServiceUnavailable {
						refused.Add(1)
					}
				})
			}
			testkit.Eventually(t, "all requests wait or are refused", func() bool { return waiting.Load()+refused.Load() == c.sent })
			if got := waiting.Load(); got > c.most || got < 8 {
				t.Errorf("%d requests of %d bytes each are in progress, at a limit of %d bytes", got, requestCost+c.header, limit)
			}
			if status := get(other, "/"); status != http.StatusOK {
				t.Errorf("another client got %d", status)
			}
			close(release)
			requests.Wait()
			testkit.Eventually(t, "nothing is charged", func() bool { return budget.Stats().Charged[memory.Body] == 0 })
			if status := get(many, "/"); status != http.StatusOK {
				t.Errorf("the client got %d afterwards", status)
			}
		})
	}
}

func TestALongHeaderIsChargedWhileItsRequestIsInProgress(t *testing.T) {
	budget := memory.New(nil)
	budget.SetLimit(1 << 30)
	f := newFixture(t, hello)
	f.serveChargedTo(budget, func(_ http.ResponseWriter, r *http.Request) {
		got := budget.Stats().Charged[memory.Body]
		if long := r.Header.Get("X-Long") != ""; long != (got > 0) {
			t.Errorf("%d bytes are charged; the header is long: %v", got, long)
		}
	})
	client := f.client((*http.Protocols).SetHTTP1)
	for _, length := range []int{0, 20 << 10, 0} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.url("/"), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if length > 0 {
			req.Header.Set("X-Long", strings.Repeat("a", length))
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		testkit.Eventually(t, "nothing is charged", func() bool { return budget.Stats().Charged[memory.Body] == 0 })
	}
}
