package transport_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpgateway/mcpgateway/clusters/peertest"
	"github.com/mcpgateway/mcpgateway/tls/tlstest"
)

// overHTTP2 is a cluster of one server whose connections may have a thousand
// streams: over plain text, or over TLS beside HTTP/1.1.
func overHTTP2(t *testing.T, secure bool, h http.Handler) (*client, *peertest.Server) {
	t.Helper()
	var ca *tlstest.CA
	scheme := "http://"
	if secure {
		ca, scheme = tlstest.NewCA(t, "Test CA"), "https://"
	}
	server := peertest.Serve(t, "", ca, h)
	server.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 1000}
	cfg := cluster(t, "c", scheme+server.Addr)
	if secure {
		cfg.TLS = peertest.Identity(t, ca, "c")
	} else {
		cfg.Protocols = []string{"h2"}
	}
	return connect(t, cfg), server
}

func TestMoreStreamsThanBelongOnAnHTTP2ConnectionGetMoreConnections(t *testing.T) {
	for _, secure := range []bool{false, true} {
		c, server := overHTTP2(t, secure, peertest.Everything())
		var stops []func()
		for range 250 {
			_, stop := peertest.Open(t, c)
			stops = append(stops, stop)
		}
		// A connection comes to where net/http looks for it after the first request
		// has got it, so that a second request may make another.
		_, before := server.Connections()
		if before < 3 || before > 6 {
			t.Errorf("secure %v: 250 streams made %d connections", secure, before)
		}
		for _, stop := range stops {
			stop()
		}
		for range 50 {
			_, stop := peertest.Open(t, c)
			defer stop()
		}
		if _, all := server.Connections(); all != before {
			t.Errorf("secure %v: there were %d connections, then %d", secure, before, all)
		}
	}
}

// The window of a connection is one for all answers on it.
func TestClientsThatDoNotReadStopNoOtherOfTheUpstream(t *testing.T) {
	block := make([]byte, 64<<10)
	flood := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.URL.Path == "/flood" {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
		_, _ = io.WriteString(w, "well")
	})
	ca := tlstest.NewCA(t, "Test CA")
	server := peertest.ServeHTTP3(t, "", ca, flood)
	over2, _ := overHTTP2(t, false, flood)
	for name, c := range map[string]*client{"h2": over2, "h3": connect(t, http3Cluster(t, "c", server, ca))} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		for range 6 {
			res, err := c.RoundTrip(peertest.Request(t, "GET", "/flood", "").WithContext(ctx))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if _, err := io.CopyN(io.Discard, res.Body, 64<<10); err != nil {
				t.Fatal(err)
			}
		}
		var calls sync.WaitGroup
		for range 4 {
			calls.Go(func() {
				res, err := c.RoundTrip(peertest.Request(t, "GET", "/", "").WithContext(ctx))
				if err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				if got := peertest.Read(t, res); got != "well" {
					t.Errorf("%s: %q", name, got)
				}
			})
		}
		calls.Wait()
	}
}

// stalling are clusters of a server, over HTTP/2 and 3, which reads no body that
// is posted to /stall, and answers any other with its length. stalled gets
// something for each of the former.
func stalling(t *testing.T) (stalled <-chan struct{}, both map[string]*client) {
	stalls := make(chan struct{}, 100)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stall" {
			stalls <- struct{}{}
			<-r.Context().Done()
			return
		}
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	})
	ca := tlstest.NewCA(t, "Test CA")
	server := peertest.ServeHTTP3(t, "", ca, handler)
	over2, _ := overHTTP2(t, false, handler)
	return stalls, map[string]*client{"h2": over2, "h3": connect(t, http3Cluster(t, "c", server, ca))}
}

// The window of a connection is one for all bodies on it.
func TestABodyThatTheServerDoesNotReadStopsNoOther(t *testing.T) {
	stalled, both := stalling(t)
	for name, c := range both {
		ctx, cancel := context.WithCancel(t.Context())
		var ended sync.WaitGroup
		body := &filled{full: make(chan struct{})}
		for range 3 {
			ended.Go(func() {
				req := peertest.Request(t, "POST", "/stall", "").WithContext(ctx)
				req.Body, req.ContentLength, req.GetBody = body, -1, nil
				if res, err := c.RoundTrip(req); err == nil {
					res.Body.Close()
				}
			})
		}
		for range 3 {
			<-stalled
		}
		<-body.full
		post := func(content string, timeout time.Duration) error {
			ctx, cancel := context.WithTimeout(ctx, timeout)
			defer cancel()
			res, err := c.RoundTrip(peertest.Request(t, "POST", "/", content).WithContext(ctx))
			if err == nil {
				if got := peertest.Read(t, res); got != fmt.Sprint(len(content)) {
					t.Errorf("%s: the server got %s bytes of %d", name, got, len(content))
				}
			}
			return err
		}
		if err := post("short", 10*time.Second); err != nil {
			t.Errorf("%s: a short body: %v", name, err)
		}
		// One that comes at once may be stuck, too.
		for try := 1; ; try++ {
			err := post(strings.Repeat("x", 300<<10), time.Duration(1<<try)*300*time.Millisecond)
			if err == nil {
				break
			}
			if try == 5 {
				t.Errorf("%s: no long body arrives: %v", name, err)
				break
			}
		}
		cancel()
		ended.Wait()
	}
}

// Many short bodies fill the window of a connection together.
func TestManyShortBodiesThatTheServerDoesNotReadStopNoOther(t *testing.T) {
	stalled, both := stalling(t)
	for name, c := range both {
		ctx, cancel := context.WithCancel(t.Context())
		var ended sync.WaitGroup
		const many = 24 // 1.4 MB, more than the window of net/http's server and of quic-go's
		for range many {
			ended.Go(func() {
				res, err := c.RoundTrip(peertest.Request(t, "POST", "/stall", strings.Repeat("x", 60_000)).WithContext(ctx))
				if err == nil {
					res.Body.Close()
				}
			})
		}
		for range many {
			<-stalled
		}
		for range 3 {
			ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
			res, err := c.RoundTrip(peertest.Request(t, "POST", "/", strings.Repeat("x", 30_000)).WithContext(ctx))
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else if got := peertest.Read(t, res); got != "30000" {
				t.Errorf("%s: the server got %s bytes", name, got)
			}
			cancel()
		}
		cancel()
		ended.Wait()
	}
}

// filled is a body without end, of several requests, that tells when enough was
// read to fill the window of a connection: 1 MiB over HTTP/2, 768 KiB over HTTP/3.
type filled struct {
	read atomic.Int64
	once sync.Once
	full chan struct{}
}

func (f *filled) Read(p []byte) (int, error) {
	if f.read.Add(int64(len(p))) >= 760<<10 {
		f.once.Do(func() { close(f.full) })
	}
	return len(p), nil
}

func (*filled) Close() error { return nil }

// The window of a connection is as full of bodies that were sent whole, or but
// for their last piece, as it is of others.
func TestABodySentWholeThatTheServerDoesNotReadStopsNoOther(t *testing.T) {
	const window = 1 << 20 // of net/http's server
	for name, lengths := range map[string][]int{"but for the last piece": {window + 8<<10}, "whole": {window / 2, window / 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stalled, both := stalling(t)
			c := both["h2"]
			ctx, cancel := context.WithCancel(t.Context())
			var ended sync.WaitGroup
			for _, length := range lengths {
				body := &pieces{left: length, piece: 16 << 10, over: make(chan struct{})}
				ended.Go(func() {
					req := peertest.Request(t, "POST", "/stall", "").WithContext(ctx)
					req.Body, req.ContentLength, req.GetBody = body, int64(length), nil
					if res, err := c.RoundTrip(req); err == nil {
						res.Body.Close()
					}
				})
				<-stalled
				<-body.over
			}
			// One that comes at once may be stuck, too.
			for try := 1; ; try++ {
				ctx, cancel := context.WithTimeout(ctx, time.Duration(1<<try)*300*time.Millisecond)
				res, err := c.RoundTrip(peertest.Request(t, "POST", "/", strings.Repeat("x", 300<<10)).WithContext(ctx))
				if err == nil {
					peertest.Read(t, res)
				}
				cancel()
				if err == nil {
					break
				}
				if try == 4 { // after more, the connection counts as silent
					t.Errorf("no other body arrives: %v", err)
					break
				}
			}
			cancel()
			ended.Wait()
		})
	}
}

// pieces is a body that comes in pieces, the last with its end, and tells when
// that was read.
type pieces struct {
	left, piece int
	over        chan struct{}
}

func (b *pieces) Read(p []byte) (int, error) {
	n := min(len(p), b.piece, b.left)
	if b.left -= n; b.left == 0 {
		if n > 0 {
			close(b.over)
		}
		return n, io.EOF
	}
	return n, nil
}

func (*pieces) Close() error { return nil }

// However requests end, nothing of them stays counted.
func TestWhatIsCountedOnAConnectionComesBack(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/early":
			_ = http.NewResponseController(w).Flush()
		case "/stall":
			<-r.Context().Done()
			return
		case "/abort":
			panic(http.ErrAbortHandler)
		}
		_, _ = io.Copy(io.Discard, r.Body)
	})
	ca := tlstest.NewCA(t, "Test CA")
	over3 := peertest.ServeHTTP3(t, "", ca, handler)
	over2, _ := overHTTP2(t, true, handler)
	for name, c := range map[string]*client{"h2": over2, "h3": connect(t, http3Cluster(t, "c", over3, ca))} {
		t.Run(name, func(t *testing.T) {
			var calls sync.WaitGroup
			for _, path := range []string{"/", "/early", "/stall", "/abort"} {
				for _, length := range []int{0, 10, 60 << 10, 200 << 10, 2 << 20} {
					for _, known := range []bool{true, false} {
						calls.Go(func() {
							ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
							if path == "/stall" {
								ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
							}
							defer cancel()
							req := peertest.Request(t, "POST", path, strings.Repeat("x", length)).WithContext(ctx)
							if !known && length > 0 {
								req.ContentLength, req.GetBody = -1, nil
							}
							res, err := c.RoundTrip(req)
							if err == nil {
								_, err = io.Copy(io.Discard, res.Body)
								res.Body.Close()
							}
							if (err == nil) != (path == "/" || path == "/early") {
								t.Errorf("%s, %d bytes, known %v: %v", path, length, known, err)
							}
						})
					}
				}
			}
			calls.Wait()
			peertest.Eventually(t, "nothing is counted", func() bool {
				active, unanswered, stuck := c.Crowds()
				return active == 0 && unanswered == 0 && stuck == 0
			})
		})
	}
}
