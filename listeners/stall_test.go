package listeners

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"
	"time"
)

func TestBodyThatStallsFails(t *testing.T) {
	failed := make(chan error, 2)
	f := newFixture(t, func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		failed <- err
	}, limits(func(l *Limits) { l.IdleTimeout = 300 * time.Millisecond }))
	c := f.h1()
	c.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc")
	if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("HTTP/1.1: got %v", err)
	}
	pr, pw := io.Pipe()
	defer func() { _ = pw.Close() }()
	go func() {
		if res, err := f.client((*http.Protocols).SetHTTP2).Post(f.url("/"), "text/plain", pr); err == nil {
			res.Body.Close()
		}
	}()
	if _, err := pw.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("HTTP/2: got %v", err)
	}
}

// A gRPC client that only listens for a while is not one that stalls.
func TestQuietUploadOfALivingStreamIsNoStall(t *testing.T) {
	const patience = 50 * time.Millisecond
	got := make(chan string, 1)
	f := newFixture(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		http.NewResponseController(w).Flush()
		b, err := io.ReadAll(r.Body)
		got <- fmt.Sprintf("%s %v", b, err)
	}, limits(func(l *Limits) { l.IdleTimeout = patience }))
	body, upload := io.Pipe()
	req, err := http.NewRequest(http.MethodPost, f.url("/"), body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := f.client((*http.Protocols).SetHTTP2).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	<-time.After(4 * patience) // the silence is the point
	io.WriteString(upload, "at last")
	upload.Close()
	if s := <-got; s != "at last <nil>" {
		t.Errorf("the upload ended with %s", s)
	}
}

func TestAnswerDoesNotWaitForABodyThatNobodyReads(t *testing.T) {
	f := newFixture(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
	}, limits(func(l *Limits) { l.HeaderTimeout = 300 * time.Millisecond }))
	c := f.h1()
	c.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc")
	if res := c.answer(); res.StatusCode != http.StatusUnauthorized || !res.Close {
		t.Errorf("got %s, close %v", res.Status, res.Close)
	}
	c.ended()
}

func TestUnreadBodyDoesNotCutALongAnswer(t *testing.T) {
	const timeout = 200 * time.Millisecond
	var cause error
	f := newFixture(t, func(w http.ResponseWriter, r *http.Request) {
		// Enough to have net/http read the body, too little for it to write.
		w.Write(make([]byte, 3000))
		select {
		case <-r.Context().Done():
			cause = r.Context().Err()
		case <-time.After(3 * timeout):
		}
	}, limits(func(l *Limits) { l.HeaderTimeout = timeout }))
	c := f.h1()
	c.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc")
	res := c.answer()
	if cause != nil || res.Close {
		t.Errorf("the request ended early: %v; close %v", cause, res.Close)
	}
	c.get("/")
	c.answer()
}

func TestClientThatStopsReadingIsCut(t *testing.T) {
	failed := make(chan error, 1)
	f := newFixture(t, func(w http.ResponseWriter, _ *http.Request) {
		block := make([]byte, 1<<10)
		for {
			if _, err := w.Write(block); err != nil {
				failed <- err
				return
			}
		}
	}, limits(func(l *Limits) { l.IdleTimeout = 200 * time.Millisecond }))
	f.h1().get("/")
	select {
	case err := <-failed:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("the handler still writes")
	}
}

func TestWriteDeadlineOfAHandlerHolds(t *testing.T) {
	failed := make(chan error, 1)
	f := newFixture(t, func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			t.Error(err)
		}
		block := make([]byte, 1<<10)
		for {
			if _, err := w.Write(block); err != nil {
				failed <- err
				return
			}
		}
	})
	f.h1().get("/")
	select {
	case err := <-failed:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("the handler still writes")
	}
}
