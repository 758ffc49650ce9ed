package listeners

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"sync/atomic"
	"testing"
)

// cautious sends a body only once the server wants it.
type cautious struct {
	*http.Client
	asked atomic.Int64
}

func (c *cautious) post(t *testing.T, path, body string) (*http.Response, string) {
	t.Helper()
	r, w := io.Pipe()
	defer r.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got100Continue: func() {
		c.asked.Add(1)
		go func() {
			_, _ = io.WriteString(w, body)
			w.Close()
		}()
	}})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://localhost"+path, r)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Expect", "100-continue")
	res, err := c.Do(req)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		t.Errorf("%s: %v", path, err)
	}
	return res, string(got)
}

func TestAClientOverHTTP3IsAskedForItsBodyWhenItIsRead(t *testing.T) {
	f := newFixture(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Final", "yes")
		switch r.URL.Path {
		case "/refuse":
			w.WriteHeader(http.StatusExpectationFailed)
			return
		case "/hint":
			w.WriteHeader(http.StatusEarlyHints)
		}
		body, err := io.ReadAll(r.Body)
		w.Header().Set("Trailer", "X-Sum")
		fmt.Fprintf(w, "%s, %v", body, err)
		if r.URL.Path == "/flush" {
			_ = http.NewResponseController(w).Flush()
		}
		w.Header().Set("X-Sum", "42")
	}, withHTTP3)
	c := &cautious{Client: f.quic(f.clientTLS(nil)).Client}
	if res, _ := c.post(t, "/refuse", "body"); res.StatusCode != http.StatusExpectationFailed || c.asked.Load() != 0 {
		t.Errorf("refused with %d, after the client was asked %d times", res.StatusCode, c.asked.Load())
	}
	for _, path := range []string{"/", "/flush", "/hint"} {
		c.asked.Store(0)
		res, got := c.post(t, path, "body")
		if got != "body, <nil>" || c.asked.Load() != 1 || res.StatusCode != http.StatusOK || res.Header.Get("X-Final") != "yes" || res.Trailer.Get("X-Sum") != "42" {
			t.Errorf("%s: asked %d times, %q, header %v, trailer %v", path, c.asked.Load(), got, res.Header, res.Trailer)
		}
	}
}

func TestNobodyIsAskedForABodyAfterTheHandler(t *testing.T) {
	w := httptest.NewRecorder()
	e := &expecting{ResponseWriter: w, header: make(http.Header)}
	e.end() // it panicked
	e.proceed()
	e.WriteHeader(http.StatusEarlyHints)
	if w.Code != http.StatusOK {
		t.Errorf("a %d went out", w.Code)
	}
}

// An upstream connection reads the body while the handler makes its answer.
func TestAskingForABodyDoesNotMeddleWithTheAnswer(t *testing.T) {
	const header = 100
	f := newFixture(t, func(w http.ResponseWriter, r *http.Request) {
		read := make(chan struct{})
		go func() {
			defer close(read)
			_, _ = r.Body.Read(make([]byte, 1))
		}()
		for n := range header {
			w.Header().Set(fmt.Sprintf("X-%d", n), "x")
		}
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		io.WriteString(w, "done")
		_ = http.NewResponseController(w).SetReadDeadline(longAgo) // it may not have been asked for
		<-read
	}, withHTTP3)
	c := &cautious{Client: f.quic(f.clientTLS(nil)).Client}
	for range 20 {
		if res, got := c.post(t, "/", "body"); got != "done" || len(res.Header) < header {
			t.Fatalf("%q, header %v", got, res.Header)
		}
	}
}
