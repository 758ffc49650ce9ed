package transport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"
)

// checkHTTP3 refuses what net/http would refuse over TCP. http3 has these checks
// in http3.Transport; without them, a request that cannot be written would wait
// for an answer all the same.
func checkHTTP3(req *http.Request) error {
	method := cmp.Or(req.Method, http.MethodGet)
	host := req.Host
	if host == "" {
		host = req.URL.Host
	}
	ascii, err := httpguts.PunycodeHostPort(host)
	switch {
	case method == http.MethodConnect:
		return errors.New("HTTP/3 carries no CONNECT here")
	case strings.HasSuffix(method, "_0RTT") || !httpguts.ValidHeaderFieldName(method):
		// http3 takes GET_0RTT and HEAD_0RTT for words of its own.
		return fmt.Errorf("the method %q is not one of HTTP", method)
	case err != nil || !httpguts.ValidHostHeader(ascii):
		return fmt.Errorf("%q is not a host", host)
	case req.URL.Opaque != "" || !strings.HasPrefix(req.URL.RequestURI(), "/") && req.URL.Path != "*":
		return fmt.Errorf("%q is not a path", req.URL.RequestURI())
	}
	for name, values := range req.Header {
		if !httpguts.ValidHeaderFieldName(name) {
			return fmt.Errorf("%q is not a header name", name)
		}
		for _, v := range values {
			if !httpguts.ValidHeaderFieldValue(v) {
				return fmt.Errorf("the value of the header %s holds characters that a header must not hold", name)
			}
		}
	}
	return nil
}

// upload is a request body in the hands of http3, which reads and closes it in
// the background, possibly after the round trip has failed.
type upload struct {
	body     io.ReadCloser
	question *question // nil unless the client asks before it sends the body

	mu               sync.Mutex
	touched, stopped bool
}

func (u *upload) Read(p []byte) (int, error) {
	if u.question != nil {
		if err := u.question.wait(); err != nil {
			return 0, err
		}
	}
	u.mu.Lock()
	if u.stopped {
		u.mu.Unlock()
		return 0, errors.New("the request is over")
	}
	u.touched = true
	u.mu.Unlock()
	return u.body.Read(p)
}

// Close leaves a body alone that the caller may have given to another request by now.
func (u *upload) Close() error {
	u.mu.Lock()
	theirs := u.stopped && !u.touched
	u.mu.Unlock()
	if theirs {
		return nil
	}
	return u.body.Close()
}

// stop lets no reader begin, and reports whether one has. There is
// nothing to stop when u is nil.
func (u *upload) stop() (touched bool) {
	if u == nil {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stopped = true
	return u.touched
}

// question is that of a request with "Expect: 100-continue" (RFC 9110, section
// 10.1.1), which http3 leaves to others.
type question struct {
	ctx      context.Context // of the request
	wanted   chan struct{}   // closed with the 100
	answered chan struct{}   // closed with the final header
}

// wait returns once the body is to be sent. A body that the server has answered
// without is not sent at all: to break it off could end the answer.
func (q *question) wait() error {
	timer := time.NewTimer(continueTimeout)
	defer timer.Stop()
	select {
	case <-q.wanted:
		return nil
	case <-timer.C:
		return nil
	case <-q.answered:
		<-q.ctx.Done()
	case <-q.ctx.Done():
	}
	return q.ctx.Err()
}

// http3Body is a response body, which ends the request.
type http3Body struct {
	io.ReadCloser
	ctx  context.Context
	over func()
}

func (b *http3Body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		if ctxErr := b.ctx.Err(); ctxErr != nil && !errors.Is(err, io.EOF) {
			err = ctxErr
		}
		b.over()
	}
	return n, err
}

// Close ends both directions of the stream, by the end of ctx: Close of http3's
// body would leave a request body on its way.
func (b *http3Body) Close() error {
	b.over()
	return nil
}
