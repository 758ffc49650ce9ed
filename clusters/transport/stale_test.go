package transport

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// staleTwice meets two connections that were closed while they were idle.
type staleTwice struct{ bodies []string }

func (s *staleTwice) RoundTrip(req *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	req.Body.Close()
	s.bodies = append(s.bodies, string(b))
	if len(s.bodies) < 3 {
		return nil, errors.New(staleWords)
	}
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

func (s *staleTwice) CloseIdleConnections() {}

// anyone is the user of a pool, and does not count.
type anyone struct{}

func (anyone) Begin() bool { return true }
func (anyone) End()        {}

func TestAPostThatMetAClosedConnectionIsSentAgainWhole(t *testing.T) {
	send := func(s *staleTwice, req *http.Request) (*http.Response, error) {
		u, _ := url.Parse("http://localhost")
		p := NewPool(new(Connector), Target{URL: u}, anyone{})
		p.current = newConnectionSet(p)
		p.current.short = single{s}
		return p.Send(req, 0)
	}
	s := &staleTwice{}
	req, err := http.NewRequest(http.MethodPost, "http://localhost/", strings.NewReader("call"))
	if err != nil {
		t.Fatal(err)
	}
	if res, err := send(s, req); err != nil || res.StatusCode != http.StatusOK || strings.Join(s.bodies, " ") != "call call call" {
		t.Errorf("got %v, %v after the bodies %q", res, err, s.bodies)
	}

	s = &staleTwice{}
	req.Body, req.GetBody = io.NopCloser(strings.NewReader("stream")), nil
	if _, err := send(s, req); err == nil || len(s.bodies) != 1 {
		t.Errorf("a body that is gone was sent again: %v, %q", err, s.bodies)
	}
}

// These errors have no name to compare with, and come of races that a test cannot
// win each time; their words must still be net/http's.
func TestNetHTTPStillUsesTheWords(t *testing.T) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name, words := range map[string]string{"transport.go": staleWords, "h2_bundle.go": notEstablished} {
		source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "src", "net", "http", name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(source), `errors.New("`+words+`")`) {
			t.Errorf("net/http does not say %q any more", words)
		}
	}
}
