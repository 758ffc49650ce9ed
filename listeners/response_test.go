package listeners

import (
	"errors"
	"io"
	"net/http"
	"os"
	"testing"
	"time"
)

// A stream that was silent for longer than a client may take to read is as
// good as one that was not: gRPC sends its status in the trailer, whenever.
func TestAnAnswerOverHTTP3EndsWellAfterASilence(t *testing.T) {
	const patience = 200 * time.Millisecond
	f := newFixture(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Grpc-Status")
		io.WriteString(w, "data")
		if r.URL.Path == "/stream" {
			_ = http.NewResponseController(w).Flush()
		}
		<-time.After(3 * patience) // the silence is the point
		if r.URL.Path == "/flush" {
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Errorf("the flush after the silence: %v", err)
			}
		}
		w.Header().Set("Grpc-Status", "0")
	}, withHTTP3, limits(func(l *Limits) { l.IdleTimeout = patience }))
	for _, path := range []string{"/stream", "/whole", "/flush"} {
		res, err := f.quic(f.clientTLS(nil)).Get(f.url(path))
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || string(body) != "data" || res.Trailer.Get("Grpc-Status") != "0" {
			t.Errorf("%s: %q, %v, trailer %v", path, body, err, res.Trailer)
		}
	}
}

func TestWriteDeadlineOfAHandlerHoldsOverHTTP3(t *testing.T) {
	failed := make(chan error, 1)
	f := newFixture(t, func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			t.Error(err)
		}
		block := make([]byte, 8<<10)
		for {
			if _, err := w.Write(block); err != nil {
				failed <- err
				return
			}
		}
	}, withHTTP3)
	res, err := f.quic(f.clientTLS(nil)).Get(f.url("/"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	select {
	case err := <-failed:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("the handler still writes")
	}
}

// deadlines is a ResponseWriter that notes the last deadline for writing.
type deadlines struct {
	http.ResponseWriter
	by time.Time
}

func (d *deadlines) SetReadDeadline(time.Time) error { return nil }

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.by = t
	return nil
}

// A write that got in before Close must not put off the end.
func TestAWriteInProgressGetsNoMoreTimeOnceItsStreamIsClosed(t *testing.T) {
	w := &deadlines{}
	s := &Server{config: Config{Limits: Limits{IdleTimeout: time.Hour}}}
	r := &response{ResponseWriter: w, conn: newConn(s, nil, nil, nil, new(places)), version: 3}
	c := &streamConn{upgrade: &streamUpgrade{response: r}, closed: make(chan struct{})}
	if r.pace(1); time.Until(w.by) < time.Minute {
		t.Fatalf("an open stream has until %v", w.by)
	}
	c.Close()
	if r.pace(1); time.Until(w.by) > closeMoment {
		t.Errorf("a closed stream has until %v", w.by)
	}
}

func TestHTTP3IsAnnouncedOnThePortThatClientsKnow(t *testing.T) {
	f := newFixture(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/own" {
			w.Header().Set("Alt-Svc", "clear")
		}
	}, withHTTP3)
	for _, set := range []func(*http.Protocols, bool){(*http.Protocols).SetHTTP1, (*http.Protocols).SetHTTP2} {
		c := f.client(set)
		announced := func(url string) string {
			res, err := c.Get(url)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			return res.Header.Get("Alt-Svc")
		}
		for url, want := range map[string]string{
			"https://localhost/":      `h3=":443"; ma=300`,
			"https://localhost:9443/": `h3=":9443"; ma=300`,
			"https://localhost/own":   "clear",
		} {
			if got := announced(url); got != want {
				t.Errorf("%s: %q, want %q", url, got, want)
			}
		}
		// What follows may not speak HTTP/3. The connection goes much later.
		f.server.Drain(DrainOptions{Spread: time.Hour, Timeout: 2 * time.Hour})
		if got := announced("https://localhost/"); got != "" {
			t.Errorf("a server that drains announces %q", got)
		}
		f.server = f.newServer(f.server.handler.(http.HandlerFunc))
		f.socket.Serve(f.server)
	}
}

func TestAnAnswerThatIsNotModifiedSaysTheLengthOfTheBody(t *testing.T) {
	f := newFixture(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "42")
		w.WriteHeader(http.StatusNotModified)
	}, withHTTP3)
	for name, c := range map[string]*http.Client{
		"http/1.1": f.client((*http.Protocols).SetHTTP1), "h2": f.client((*http.Protocols).SetHTTP2), "h3": f.quic(f.clientTLS(nil)).Client,
	} {
		for range 2 { // the connection goes on
			res, err := c.Get(f.url("/"))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			res.Body.Close()
			if res.StatusCode != http.StatusNotModified || res.Header.Get("Content-Length") != "42" {
				t.Errorf("%s: %s, %v", name, res.Status, res.Header)
			}
		}
	}
}
