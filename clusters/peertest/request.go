package peertest

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Request is a request whose URL has a path, and a host that means nothing.
func Request(t testing.TB, method, path, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://ignored"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = ""
	return req
}

// Fetch makes a GET and returns the body.
func Fetch(t testing.TB, rt http.RoundTripper, path string) string {
	t.Helper()
	res, err := rt.RoundTrip(Request(t, "GET", path, ""))
	if err != nil {
		t.Fatal(err)
	}
	return Read(t, res)
}

// Read returns the body of an answer, and closes it.
func Read(t testing.TB, res *http.Response) string {
	t.Helper()
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Open begins a stream of /stream and reads its first event.
func Open(t testing.TB, rt http.RoundTripper) (stream *http.Response, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	res, err := rt.RoundTrip(Request(t, "GET", "/stream", "").WithContext(ctx))
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	if b := make([]byte, 9); readFull(res, b) != nil || string(b) != "data: 1\n\n" {
		t.Errorf("the stream began with %q", b)
	}
	return res, func() { cancel(); res.Body.Close() }
}

func readFull(res *http.Response, b []byte) error {
	_, err := io.ReadFull(res.Body, b)
	return err
}

// UpgradeRequest asks for the upgrade of Everything.
func UpgradeRequest(t testing.TB) *http.Request {
	req := Request(t, "GET", "/upgrade", "")
	req.Body, req.GetBody, req.ContentLength = nil, nil, 0
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	return req
}

// Talk says something over an upgraded connection and closes it.
func Talk(t testing.TB, res *http.Response) {
	t.Helper()
	rwc, ok := res.Body.(io.ReadWriteCloser)
	if res.StatusCode != http.StatusSwitchingProtocols || !ok {
		t.Fatalf("no upgrade: %s, %T", res.Status, res.Body)
	}
	if _, err := io.WriteString(rwc, "hello"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5)
	if _, err := io.ReadFull(rwc, b); err != nil || string(b) != "hello" {
		t.Fatalf("heard %q, %v", b, err)
	}
	if err := rwc.Close(); err != nil {
		t.Fatal(err)
	}
}
