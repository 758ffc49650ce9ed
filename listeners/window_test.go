package listeners

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mcpgateway/mcpgateway/internal/testkit"
)

// endless is a body that never ends, and counts what its client has taken of it.
type endless struct{ taken atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	e.taken.Add(int64(len(p)))
	return len(p), nil
}

// An upload whose handler does not read it takes its own window, and nothing of
// the windows of the others.
func TestStalledUploadsDoNotStopOtherBodiesOfTheirConnection(t *testing.T) {
	const streams = 12
	for _, proto := range []string{"HTTP/2", "HTTP/3"} {
		t.Run(proto, func(t *testing.T) {
			f := newFixture(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/stall" {
					<-r.Context().Done()
					return
				}
				if _, err := io.Copy(w, r.Body); err != nil {
					t.Error(err)
				}
			}, withHTTP3, limits(func(l *Limits) { l.MaxConcurrentStreams = streams }))
			var client *http.Client
			if proto == "HTTP/3" {
				client = f.quic(f.clientTLS(nil)).Client
			} else {
				client = f.client((*http.Protocols).SetHTTP2)
			}
			ctx, cancel := context.WithCancel(t.Context())
			var stalled sync.WaitGroup
			defer stalled.Wait()
			defer cancel()
			// So that all have one connection.
			if res, err := client.Get(f.url("/")); err != nil {
				t.Fatal(err)
			} else {
				res.Body.Close()
			}
			bodies := make([]endless, streams-1)
			for i := range bodies {
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url("/stall"), &bodies[i])
				if err != nil {
					t.Fatal(err)
				}
				stalled.Go(func() {
					if res, err := client.Do(req); err == nil {
						res.Body.Close()
					}
				})
			}
			testkit.Eventually(t, "the stalled uploads have their windows full", func() bool {
				for i := range bodies {
					if bodies[i].taken.Load() < streamWindow {
						return false
					}
				}
				return true
			})
			body := bytes.Repeat([]byte("x"), 2*streamWindow)
			res, err := client.Post(f.url("/echo"), "text/plain", bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if got, err := io.ReadAll(res.Body); err != nil || !bytes.Equal(got, body) || !strings.HasPrefix(res.Proto, proto) {
				t.Errorf("got %d bytes of %d, %v, over %s", len(got), len(body), err, res.Proto)
			}
			if stats := f.server.Stats(); stats.Connections != 1 {
				t.Errorf("the requests came on %d connections", stats.Connections)
			}
		})
	}
}

func TestWindowOfAConnectionIsBounded(t *testing.T) {
	l := Limits{MaxConcurrentStreams: 100_000}
	if got := l.connectionWindow(); got != maxConnectionWindow {
		t.Errorf("got %d", got)
	}
}
