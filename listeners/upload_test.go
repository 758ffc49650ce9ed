package listeners

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// tellBody answers with what a handler sees of a request's body.
func tellBody(w http.ResponseWriter, r *http.Request) {
	r = r.WithContext(r.Context()) // filters make copies
	none := r.Body == http.NoBody && r.ContentLength == 0
	body, err := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s: none %v, %d bytes, %v, trailer %v", r.Method, none, len(body), err, r.Trailer)
}

// unsized hides how long a body is.
type unsized struct{ io.Reader }

// answerTo sends a request and returns the body of its answer.
func (c *quicClient) answerTo(t *testing.T, method string, body io.Reader, trailer http.Header) string {
	t.Helper()
	req, err := http.NewRequest(method, "https://localhost/", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Trailer = trailer
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

func TestARequestWithoutBodyHasNoneOverHTTP3(t *testing.T) {
	f := newFixture(t, tellBody, withHTTP3)
	c := f.quic(f.clientTLS(nil))
	c.get(t, "/")
	for _, method := range []string{http.MethodGet, http.MethodDelete, http.MethodOptions} {
		for _, b := range []struct {
			body io.Reader
			want string
		}{
			{nil, "none true, 0 bytes"},
			{unsized{strings.NewReader("")}, "none true, 0 bytes"}, // the end comes after the header
			{unsized{strings.NewReader("x")}, "none false, 1 bytes"},
			{unsized{strings.NewReader(strings.Repeat("x", 100_000))}, "none false, 100000 bytes"},
			{strings.NewReader("sized"), "none false, 5 bytes"},
		} {
			want := method + ": " + b.want + ", <nil>, trailer map[]"
			if got := c.answerTo(t, method, b.body, nil); got != want {
				t.Errorf("%s; want %s", got, want)
			}
		}
	}
}

// A client that leaves open whether a body comes is waited for as for a header
// that does not end, and the handler learns of it.
func TestAGETOverHTTP3ThatNeverEndsIsGivenUp(t *testing.T) {
	failed := make(chan error, 1)
	f := newFixture(t, func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		failed <- err
	}, withHTTP3, limits(func(l *Limits) { l.HeaderTimeout = 500 * time.Millisecond }))
	body, open := io.Pipe()
	defer open.Close()
	f.quic(f.clientTLS(nil)).answerTo(t, http.MethodGet, body, nil)
	if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the body ended with %v", err)
	}
}

func TestTrailersOfARequestOverHTTP3ReachTheHandler(t *testing.T) {
	f := newFixture(t, tellBody, withHTTP3)
	c := f.quic(f.clientTLS(nil))
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		for _, body := range []string{"", "body"} {
			want := fmt.Sprintf("%s: none false, %d bytes, <nil>, trailer map[X-Sum:[42]]", method, len(body))
			if got := c.answerTo(t, method, unsized{strings.NewReader(body)}, http.Header{"X-Sum": {"42"}}); got != want {
				t.Errorf("%s; want %s", got, want)
			}
		}
	}
}
