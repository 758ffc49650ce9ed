package listeners

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"
)

// closedByItself reports whether http3's client has cut a request of its own. It
// looks whether there was GOAWAY, and only then counts the request; a GOAWAY in
// between finds no request to wait for, and the client closes the connection at
// once. Nothing that a server does can prevent that, or looks like it: what a
// server closes is no local error.
func closedByItself(err error) bool {
	return errors.Is(err, &http3.Error{Remote: false, ErrorCode: http3.ErrCodeNoError})
}

// Every definition is replaced under the requests of HTTP/3 clients, certificates
// with it, and none of them is told no.
func TestFortyRedefinitionsFailNoHTTP3Request(t *testing.T) {
	handler := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprintf(w, "%d", len(body))
	}
	f := newFixture(t, handler, withHTTP3)
	var failed atomic.Pointer[error]
	var requests atomic.Int64
	stop := make(chan struct{})
	var load sync.WaitGroup
	for range 6 {
		c := f.quic(f.clientTLS(nil))
		load.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				res, err := c.Post("https://localhost/", "text/plain", strings.NewReader(strings.Repeat("x", 4096*(n%8))))
				if closedByItself(err) {
					continue
				}
				if err == nil {
					var body []byte
					if body, err = io.ReadAll(res.Body); err == nil && string(body) != fmt.Sprint(4096*(n%8)) {
						err = fmt.Errorf("answer %q to request %d", body, n)
					}
					res.Body.Close()
				}
				if err != nil {
					failed.CompareAndSwap(nil, &err)
					return
				}
				requests.Add(1)
			}
		})
	}
	var old []*Server
	for i := range 40 {
		f.cfg.Limits.MaxConcurrentStreams = 100 + i
		f.cfg.TLS.Certificates = serverTLS(f.ca, t).Certificates
		old = append(old, f.server)
		f.server = f.newServer(handler)
		f.socket.Serve(f.server)
		old[i].Drain(DrainOptions{Spread: 20 * time.Millisecond, Timeout: time.Minute})
		for before := requests.Load(); requests.Load() < before+20 && failed.Load() == nil; {
			time.Sleep(time.Millisecond)
		}
	}
	close(stop)
	load.Wait()
	if err := failed.Load(); err != nil {
		t.Errorf("after %d requests: %v", requests.Load(), *err)
	}
	for _, s := range old {
		wait(t, s.Done(), "a drained server")
	}
}
